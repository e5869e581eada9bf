import type { AddressSet } from '@orama/core';
import type { TurnTenant, TurnTenantUsage } from '@orama/protocol';
import type { Allocation, AllocationSettings, EndReason } from '../allocation/allocation.ts';
import type { LeaseAnswer, LeaseRequest, Ledger } from '../allocation/ledger.ts';
import type { BoundPorts } from '../relay/bound-ports.ts';
import { addTraffic, type ByteBudget, noTraffic, type TrafficCounters } from '../relay/relay.ts';
import { type ExternalAddresses, PeerPolicy } from './peer-policy.ts';

/** What a tenant shares with itself on the node's other workers. */
export interface SharedTenant {
  readonly ledger: Ledger;
  /** Bytes a second of all its allocations; undefined: no limit. */
  readonly byteBudget: ByteBudget | undefined;
}

/** A namespace inside one worker: its secrets, relay block, peer policy, and the allocations that live here. */
export class Tenant implements AllocationSettings {
  readonly namespace: string;
  readonly allocations = new Set<Allocation>();
  readonly #ledger: Ledger;
  #ownAddresses: AddressSet;
  readonly #external: ExternalAddresses;
  readonly #boundPorts: BoundPorts;
  /** Traffic of the allocations that have ended. */
  readonly #finished: TrafficCounters = noTraffic();
  #byteBudget: ByteBudget | undefined;
  #config: TurnTenant;
  #policy: PeerPolicy;
  #detached = false;
  #openedCount = 0;
  /** Leases that were asked for and not given back yet. */
  #leases = 0;
  readonly #idleWaiters: (() => void)[] = [];

  /** @param boundPorts ports that this node's relay has now */
  constructor(
    config: TurnTenant,
    shared: SharedTenant,
    ownAddresses: AddressSet,
    external: ExternalAddresses,
    boundPorts: BoundPorts,
  ) {
    this.namespace = config.namespace;
    this.#ledger = shared.ledger;
    this.#byteBudget = shared.byteBudget;
    this.#ownAddresses = ownAddresses;
    this.#external = external;
    this.#config = config;
    this.#boundPorts = boundPorts;
    this.#policy = this.#makePolicy();
  }

  /** Secrets that make allocations. */
  get secrets(): readonly string[] {
    return this.#config.secrets;
  }

  /** Secrets that the password of a client may be made of: a retired one only for the allocation that it made. */
  secretsOf(allocation: Allocation | undefined): readonly string[] {
    const { secrets, retiredSecrets } = this.#config;
    return allocation && retiredSecrets?.includes(allocation.secret) ? [allocation.secret, ...secrets] : secrets;
  }

  /** Its relay addresses and port block. */
  get relay(): TurnTenant['relay'] {
    return this.#config.relay;
  }

  /** The limit shared by all its allocations, on every worker. */
  get byteBudget(): ByteBudget | undefined {
    return this.#byteBudget;
  }

  /** Allocations it may have on all workers together. */
  get maxAllocations(): number {
    return this.#config.maxAllocations;
  }

  get allocationBytesPerSec(): number | undefined {
    return this.#config.allocationBytesPerSec;
  }

  /** Other servers to name to clients while this one drains. */
  get alternates(): TurnTenant['alternates'] {
    return this.#config.alternates;
  }

  get domain(): string | undefined {
    return this.#config.domain;
  }

  get policy(): PeerPolicy {
    return this.#policy;
  }

  /** True once detached: an Allocate that was under way must not succeed any more. */
  get detached(): boolean {
    return this.#detached;
  }

  /** What its allocations have done here since it was attached, those that have ended included. */
  usage(): TurnTenantUsage {
    const traffic = { ...this.#finished };
    for (const { port } of this.allocations) addTraffic(traffic, port.counters);
    return { namespace: this.namespace, ...traffic, allocations: this.#openedCount };
  }

  /** Whether its relay block holds the port. */
  hasPort(port: number): boolean {
    return port >= this.#config.relay.portStart && port <= this.#config.relay.portEnd;
  }

  /** Asks the ledger for a place for one allocation. A lease is given back with `closed` or `release`. */
  async lease(request: LeaseRequest): Promise<LeaseAnswer> {
    this.#leases++;
    let answer: LeaseAnswer | undefined;
    try {
      answer = await this.#ledger.open(request);
      return answer;
    } finally {
      if (answer?.ok !== true) this.#leaseEnded();
    }
  }

  /** Another port for a lease instead of one that cannot be bound; undefined when there is none. */
  async replacePort(lease: number): Promise<number | undefined> {
    return this.#ledger.replacePort(lease);
  }

  /** Gives back a lease that became no allocation; resolves when others can have its place and its port. */
  async release(lease: number): Promise<void> {
    await this.#ledger.close(lease);
    this.#leaseEnded();
  }

  opened(allocation: Allocation): void {
    this.allocations.add(allocation);
    this.#openedCount++;
  }

  /** Lets an allocation go whose sockets are closed; resolves when its lease is given back. */
  closed(allocation: Allocation): Promise<void> {
    this.allocations.delete(allocation);
    addTraffic(this.#finished, allocation.port.counters);
    return this.release(allocation.id);
  }

  /**
   * Takes other settings. Allocations live on, but for those outside the new relay block and those made with a secret that
   * is not listed any more, which is how one is revoked: a rotation retires the former. A narrower peer policy ends the
   * permissions and channels it no longer allows.
   */
  async update(config: TurnTenant, byteBudget: ByteBudget | undefined): Promise<void> {
    const before = this.#config.relay;
    this.#config = config;
    this.#policy = this.#makePolicy();
    this.#byteBudget = byteBudget;
    const { address, address6, innerAddress } = config.relay;
    const stray = [...this.allocations].filter(
      ({ port }) =>
        !this.hasPort(port.port) ||
        innerAddress !== before.innerAddress ||
        [...port.addresses].some((own) => own !== address && own !== address6 && own !== innerAddress),
    );
    for (const allocation of this.allocations) allocation.apply(this);
    const listed = listedSecrets(config);
    const revoked = [...this.allocations].filter(({ secret }) => !listed.includes(secret));
    await Promise.all([
      ...revoked.map((allocation) => allocation.close('secret-revoked')),
      ...stray.map((allocation) => allocation.close('relay-block-changed')),
    ]);
  }

  /** Takes the node's addresses. `rejudge`: permissions and channels that have one of them for a peer end. */
  own(addresses: AddressSet, rejudge: boolean): void {
    this.#ownAddresses = addresses;
    this.#policy = this.#makePolicy();
    if (rejudge) for (const allocation of this.allocations) allocation.rejudge(this.#policy);
  }

  /** Ends every allocation; resolves when all sockets are closed, those of an Allocate under way included. */
  async detach(reason: EndReason): Promise<void> {
    this.#detached = true;
    await Promise.all([...this.allocations].map((allocation) => allocation.close(reason)));
    if (this.#leases > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Lets lifetimes end. */
  sweep(): void {
    for (const allocation of this.allocations) allocation.sweep();
  }

  #makePolicy(): PeerPolicy {
    return new PeerPolicy(this.#config, this.#ownAddresses, this.#external, this.#boundPorts);
  }

  #leaseEnded(): void {
    this.#leases--;
    if (this.#leases === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}

/** Secrets of a tenant whose allocations live: the valid and the retired ones. */
export function listedSecrets({ secrets, retiredSecrets = [] }: TurnTenant): string[] {
  return [...secrets, ...retiredSecrets];
}
