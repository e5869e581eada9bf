import type { ControlplaneConfig } from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import type { NodeContext } from '../../node-context.ts';
import type { View } from '../../reconcile/store-view.ts';
import { servedRecords } from '../served-records.ts';
import type { DnsRecord, DnsWriter } from '../writer.ts';
import { formatZone } from '../zone-file.ts';
import type { DnsServer } from './dns-server.ts';
import { buildZone, type Nameserver } from './zone.ts';

/** Has this node's server answer from what the store says. Every node has one; the lease of `dns` is not needed to read. */
export class EmbeddedDns implements DnsWriter {
  readonly onEveryNode = true;
  readonly #server: DnsServer;
  readonly #context: Pick<NodeContext, 'config' | 'view'>;
  #seen: View | null = null;
  #served = '';

  constructor(server: DnsServer, context: Pick<NodeContext, 'config' | 'view'>) {
    this.#server = server;
    this.#context = context;
  }

  /** Looks at the store and serves what it says. Throws StoreUnavailableError, and goes on serving what it knew. */
  async refresh(): Promise<void> {
    const { config, view } = this.#context;
    const seen = await view.read();
    if (seen === this.#seen) return;
    const records = await servedRecords(seen, config);
    const nodes = await seen.nodes();
    const { nameservers, contact } = settingsOf(config);
    const zone = buildZone({
      baseDomain: config.baseDomain,
      // The same on all nodes that have seen the same; a store put back from a backup counts from further down.
      serial: Math.max(seen.counter, this.#server.zone?.serial ?? 0) >>> 0,
      nameservers: nameservers ?? nameserversOf(nodes, config.baseDomain),
      contact: contact ?? `hostmaster.${config.baseDomain}`,
      records,
    });
    this.#server.serve(zone);
    this.#served = formatZone(records);
    this.#seen = seen;
  }

  async isCurrent(records: readonly DnsRecord[]): Promise<boolean> {
    return this.#served === formatZone(records);
  }

  async write(): Promise<void> {
    await this.refresh();
  }
}

function settingsOf({ dns }: ControlplaneConfig) {
  if (dns.writer !== 'embedded') throw new Error(`dns.writer is ${dns.writer}`);
  return dns;
}

/** `<node>.dns.<base domain>` for every node, also one that is down: the parent zone names them too, and resolvers ask the next. */
function nameserversOf(nodes: readonly NodeRow[], baseDomain: string): Nameserver[] {
  return nodes
    .filter(({ state }) => state !== 'gone')
    .map(({ id, publicIp, publicIp6 }) => ({
      name: `${id}.dns.${baseDomain}`,
      addresses: publicIp6 ? [publicIp, publicIp6] : [publicIp],
    }));
}
