import { type Logger, turnTenantDigest, UserError } from '@orama/core';
import type { TurnPeerVerdict, TurnTenant, TurnTenantLine, TurnTenantStatus, TurnTenantUsage } from '@orama/protocol';
import { type LedgerHost, TenantLedger } from '../allocation/ledger.ts';
import { BoundPorts } from '../relay/bound-ports.ts';
import type { PortRange } from '../relay/relay.ts';
import { hostKey } from '../stun/index.ts';
import type { WorkerHandle } from '../workers/worker-handle.ts';
import type { WorkerReport } from '../workers/worker-report.ts';
import { OwnAddresses } from './own-addresses.ts';
import { type ExternalAddresses, PeerPolicy } from './peer-policy.ts';
import { type ByteBudgetMemory, byteBudgetMemory } from './shared-byte-budget.ts';
import { UsageBook } from './usage-book.ts';

/** A tenant as the node knows it: what its workers share. */
interface Entry {
  config: TurnTenant;
  digest: string;
  readonly ledger: TenantLedger;
  budget: ByteBudgetMemory | undefined;
}

export interface TenantDirectoryOptions {
  workers: readonly WorkerHandle[];
  /** Addresses of this node, refused as peers unless a tenant's `peers` names them. */
  ownAddresses: readonly string[];
  /** Reads the addresses of the machine's interfaces, which are the node's own as well. */
  interfaces: () => readonly string[];
  /** Public address by local address, behind 1:1 NAT. */
  external: ExternalAddresses;
  /** Allocations of one source (an IPv4 address or an IPv6 /64) that each tenant may have. */
  maxAllocationsPerSource: number;
  /** A time that only rises, milliseconds. */
  nowMs: () => number;
  /** Called after an allocation has ended. */
  onAllocationEnded: () => void;
  logger: Logger;
}

/** The tenants of a node: attached to all of its workers together, with a ledger and a count of usage each. */
export class TenantDirectory {
  readonly #options: TenantDirectoryOptions;
  readonly #ownAddresses: OwnAddresses;
  readonly #entries = new Map<string, Entry>();
  readonly #usage = new UsageBook();
  readonly #boundPorts = new BoundPorts();
  /** By namespace: the end of what was asked for last, which the next waits for. */
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #ledgerHost: LedgerHost;

  constructor(options: TenantDirectoryOptions) {
    this.#options = options;
    this.#ownAddresses = new OwnAddresses(
      [...options.ownAddresses, ...Object.entries(options.external).flat()],
      options.interfaces,
      options.logger,
    );
    let lastId = 0;
    this.#ledgerHost = {
      maxAllocationsPerSource: options.maxAllocationsPerSource,
      nextId: () => ++lastId,
      nowMs: options.nowMs,
      leaseEnded: options.onAllocationEnded,
    };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Allocations of all tenants, those that are being made included. */
  get allocationCount(): number {
    let count = 0;
    for (const { ledger } of this.#entries.values()) count += ledger.leaseCount;
    return count;
  }

  /** Relay ports of all tenants that are leased or promised. */
  get portCount(): number {
    let count = 0;
    for (const { ledger } of this.#entries.values()) count += ledger.portCount;
    return count;
  }

  list(): TurnTenantStatus[] {
    return Array.from(this.#entries.values(), statusOf);
  }

  /** Host names in the TURN URIs of the tenants. */
  *domains(): Iterable<string> {
    for (const { config } of this.#entries.values()) if (config.domain !== undefined) yield config.domain;
  }

  /** The ledger of an attached tenant. */
  ledger(namespace: string): TenantLedger | undefined {
    return this.#entries.get(namespace)?.ledger;
  }

  /**
   * Attaches a tenant to every worker, or gives an attached one its new settings. Attaching the same again changes
   * nothing. Throws a UserError when its relay block is another tenant's.
   */
  attach(config: TurnTenant): Promise<TurnTenantStatus> {
    return this.#inTurn(config.namespace, () => this.#attach(config));
  }

  /** Detaches a tenant; resolves when every worker has closed its sockets. False when there was none of that name. */
  detach(namespace: string): Promise<boolean> {
    return this.#inTurn(namespace, () => this.#detach(namespace));
  }

  /** What the peer policy says about a peer of a tenant; undefined when there is none of that name. */
  explainPeer(namespace: string, address: string, port?: number): TurnPeerVerdict | undefined {
    const config = this.#entries.get(namespace)?.config;
    if (config === undefined) return undefined;
    const policy = new PeerPolicy(config, this.#ownAddresses.set, this.#options.external, this.#boundPorts);
    const host = policy.judge(address);
    const { allowed, rule } = port === undefined ? host : policy.judgeEndpoint(address, port);
    const ports = host.allowed ? host.host.ports : undefined;
    return { allowed, rule, ...(ports && { ports: ports.flatMap(portsNow) }) };
  }

  /** What all workers logged of a namespace since they were asked last, in order; also of one that was detached. */
  async takeLines(namespace: string): Promise<TurnTenantLine[]> {
    const lines = await Promise.all(this.#options.workers.map((worker) => worker.takeLines(namespace)));
    return lines.flat().sort((one, other) => one.atMs - other.atMs);
  }

  /** Takes what a worker tells of its tenants' usage. */
  usageTold({ id, tenants }: WorkerReport): void {
    for (const { usage } of tenants) this.#usage.told(id, usage);
  }

  /** What every namespace has done since the server started, as the workers have told so far. */
  usage(): TurnTenantUsage[] {
    return this.#usage.list();
  }

  /** Gives promised ports back that nobody came for. */
  sweep(): void {
    for (const { ledger } of this.#entries.values()) ledger.sweep();
  }

  /** Reads the interfaces again, and tells every worker when the node's addresses are not what they were. */
  refreshOwnAddresses(added: readonly string[] = []): void {
    if (!this.#ownAddresses.refresh(added)) return;
    const { all } = this.#ownAddresses;
    this.#options.logger.info({ addresses: all.length }, 'addresses of this node changed');
    for (const worker of this.#options.workers) worker.own(all);
  }

  async #attach(config: TurnTenant): Promise<TurnTenantStatus> {
    this.#refuseOverlap(config);
    const { workers, logger, nowMs } = this.#options;
    const { namespace, relay, bytesPerSec, generation } = config;
    this.refreshOwnAddresses(relayAddresses(relay));
    const digest = turnTenantDigest(config);
    let entry = this.#entries.get(namespace);
    if (entry?.digest === digest) return statusOf(entry);

    const known = entry !== undefined;
    const sameRate = entry?.config.bytesPerSec === bytesPerSec;
    entry ??= { config, digest, ledger: new TenantLedger(config, this.#ledgerHost), budget: undefined };
    if (!known || !sameRate)
      entry.budget = bytesPerSec === undefined ? undefined : byteBudgetMemory(bytesPerSec, nowMs());
    entry.config = config;
    entry.digest = digest;
    entry.ledger.update(config);
    this.#entries.set(namespace, entry);
    this.#usage.open(namespace);
    const memory = { bytes: entry.budget, boundPorts: this.#boundPorts.memoryOf(relayAddresses(relay)) };
    await Promise.all(workers.map((worker) => worker.attach(config, memory)));
    logger.info({ ns: namespace, generation, relay }, known ? 'tenant updated' : 'tenant attached');
    return statusOf(entry);
  }

  async #detach(namespace: string): Promise<boolean> {
    const entry = this.#entries.get(namespace);
    if (entry === undefined) return false;
    const ended = entry.ledger.leaseCount;
    await Promise.all(
      this.#options.workers.map(async (worker) => {
        const usage = await worker.detach(namespace);
        if (usage !== undefined) this.#usage.ended(worker.id, usage);
      }),
    );
    this.#entries.delete(namespace);
    this.#usage.close(namespace);
    this.#options.logger.info({ ns: namespace, ended }, 'tenant detached');
    return true;
  }

  /** Two tenants with one port on one address would be each other's peers, and whoever binds first has it. */
  #refuseOverlap({ namespace, relay }: TurnTenant): void {
    const own = relayAddresses(relay).map(hostKey);
    for (const { config } of this.#entries.values()) {
      if (config.namespace === namespace) continue;
      const theirs = config.relay;
      const shared = relayAddresses(theirs).find((address) => own.includes(hostKey(address)));
      if (shared === undefined || theirs.portEnd < relay.portStart || theirs.portStart > relay.portEnd) continue;
      throw new UserError(
        'CONFLICT',
        `relay.portStart, relay.portEnd: ports ${relay.portStart}-${relay.portEnd} on ${shared} overlap ` +
          `${theirs.portStart}-${theirs.portEnd} of namespace ${config.namespace}`,
        { hint: 'give every namespace on an address a block of its own' },
      );
    }
  }

  #inTurn<T>(namespace: string, run: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(namespace) ?? Promise.resolve();
    const result = before.then(run, run);
    const settled = result
      .catch(() => undefined)
      .then(() => {
        if (this.#queues.get(namespace) === settled) this.#queues.delete(namespace);
      });
    this.#queues.set(namespace, settled);
    return result;
  }
}

function relayAddresses({ address, address6, innerAddress }: TurnTenant['relay']): string[] {
  return [address, address6, innerAddress].filter((one) => one !== undefined);
}

/** What a range means at this moment, in ranges that leave nothing out. */
function portsNow({ start, end, only }: PortRange): { start: number; end: number }[] {
  if (only === undefined) return [{ start, end }];
  const runs: { start: number; end: number }[] = [];
  for (let port = start; port <= end; port++) {
    if (!only.has(port)) continue;
    const last = runs.at(-1);
    if (last?.end === port - 1) last.end = port;
    else runs.push({ start: port, end: port });
  }
  return runs;
}

function statusOf({ config, digest, ledger }: Entry): TurnTenantStatus {
  return { namespace: config.namespace, generation: config.generation, digest, allocations: ledger.leaseCount };
}
