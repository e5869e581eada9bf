import type { Database } from './database.ts';
import { DnsRecordsRepository } from './repositories/dns-records.ts';
import { InvitationsRepository } from './repositories/invitations.ts';
import { KeysRepository } from './repositories/keys.ts';
import { LeasesRepository } from './repositories/leases.ts';
import { NamespacesRepository } from './repositories/namespaces.ts';
import { NodesRepository } from './repositories/nodes.ts';
import { OperationsRepository } from './repositories/operations.ts';
import { OperatorTokensRepository } from './repositories/operator-tokens.ts';
import { PortAllocationsRepository } from './repositories/port-allocations.ts';
import { RoomsRepository } from './repositories/rooms.ts';
import { ServiceReportsRepository } from './repositories/service-reports.ts';
import { UsageRepository } from './repositories/usage.ts';
import { WebrtcConfigRepository } from './repositories/webrtc-config.ts';

/** The database with its repositories. */
export interface Store {
  db: Database;
  nodes: NodesRepository;
  namespaces: NamespacesRepository;
  webrtc: WebrtcConfigRepository;
  ports: PortAllocationsRepository;
  rooms: RoomsRepository;
  dns: DnsRecordsRepository;
  reports: ServiceReportsRepository;
  operations: OperationsRepository;
  keys: KeysRepository;
  usage: UsageRepository;
  leases: LeasesRepository;
  operatorTokens: OperatorTokensRepository;
  invitations: InvitationsRepository;
}

export function createStore(db: Database): Store {
  return {
    db,
    nodes: new NodesRepository(db),
    namespaces: new NamespacesRepository(db),
    webrtc: new WebrtcConfigRepository(db),
    ports: new PortAllocationsRepository(db),
    rooms: new RoomsRepository(db),
    dns: new DnsRecordsRepository(db),
    reports: new ServiceReportsRepository(db),
    operations: new OperationsRepository(db),
    keys: new KeysRepository(db),
    usage: new UsageRepository(db),
    leases: new LeasesRepository(db),
    operatorTokens: new OperatorTokensRepository(db),
    invitations: new InvitationsRepository(db),
  };
}
