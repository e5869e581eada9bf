import { join } from 'node:path';
import type { Clock, Failpoints, Logger, SecretBox } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import type { Store } from '@orama/store';
import type { StoreMembers } from './operations/context.ts';
import type { LeaseKeeper } from './reconcile/lease-keeper.ts';
import type { LoadMeter } from './reconcile/load-meter.ts';
import type { StoreView } from './reconcile/store-view.ts';
import type { ServiceManager } from './services/service-manager.ts';

/** What the tasks of a node work with. */
export interface NodeContext {
  config: ControlplaneConfig;
  store: Store;
  storeMembers?: StoreMembers | undefined;
  /** What the store says of all namespaces. */
  view: StoreView;
  services: ServiceManager;
  /** Opens TURN secrets; the context of each is its namespace. */
  secrets: SecretBox;
  /** The secret that a namespace's SFUs share with gateways and controlplanes. */
  sfuSecretOf: (namespace: string) => string;
  clock: Clock;
  logger: Logger;
  failpoints: Failpoints;
  /** What this node alone may do. */
  leases: LeaseKeeper;
  load: LoadMeter;
}

/** Where things lie below a node's data directory. */
export function nodePaths(dataDir: string) {
  return {
    configs: join(dataDir, 'configs'),
    /** The last good certificate of each TURN name. */
    certificates: join(dataDir, 'certificates'),
    namespaces: join(dataDir, 'namespaces'),
    turnControlSocket: join(dataDir, 'run', 'turn.sock'),
    /** Units that an operator keeps down. */
    heldUnits: join(dataDir, 'run', 'held-units.json'),
    /** What a unit may read, and no other. */
    unitFolder: (unit: string) => join(dataDir, 'configs', unit),
    unitConfig: (unit: string) => join(dataDir, 'configs', unit, 'config.json'),
    /** Secret of a namespace's SFU. */
    unitSecret: (unit: string) => join(dataDir, 'configs', unit, 'secret'),
    namespace: (namespace: string) => join(dataDir, 'namespaces', namespace),
  };
}

/** The control socket of this node's TURN server. */
export function turnSocketOf(config: Pick<ControlplaneConfig, 'dataDir'>): string {
  return nodePaths(config.dataDir).turnControlSocket;
}
