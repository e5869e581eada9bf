import { randomBytes } from 'node:crypto';
import { type AddressSet, turnTenantDigest } from '@orama/core';
import type { TurnTenant, TurnTenantStatus } from '@orama/protocol';
import type { Allocation, AllocationSettings, EndReason } from '../allocation/allocation.ts';
import { Quota } from '../allocation/quota.ts';
import { RESERVATION_MS, RelayPorts } from '../allocation/relay-ports.ts';
import type { ByteBudget } from '../relay/relay.ts';
import type { AddressFamily } from '../stun/index.ts';
import { type ExternalAddresses, PeerPolicy } from './peer-policy.ts';

interface Reservation {
  readonly port: number;
  readonly family: AddressFamily;
  readonly expiresAtMs: number;
}

/** A namespace inside the server: its secrets, relay block, quota, peer policy and allocations. */
export class Tenant implements AllocationSettings {
  readonly namespace: string;
  readonly ports: RelayPorts;
  readonly quota: Quota;
  readonly allocations = new Set<Allocation>();
  /** The limit shared by all its allocations. */
  readonly byteBudget: ByteBudget | undefined = undefined;
  readonly #ownAddresses: AddressSet;
  readonly #external: ExternalAddresses;
  readonly #reservations = new Map<string, Reservation>();
  #config: TurnTenant;
  #policy: PeerPolicy;
  #digest: string;
  #detached = false;

  constructor(config: TurnTenant, ownAddresses: AddressSet, external: ExternalAddresses = {}) {
    this.namespace = config.namespace;
    this.ports = new RelayPorts(config.relay.portStart, config.relay.portEnd);
    this.quota = new Quota(config.maxAllocations, config.maxAllocationsPerUsername);
    this.#ownAddresses = ownAddresses;
    this.#external = external;
    this.#config = config;
    this.#policy = new PeerPolicy(config, ownAddresses, external);
    this.#digest = turnTenantDigest(config);
  }

  get secrets(): readonly string[] {
    return this.#config.secrets;
  }

  /** Its relay addresses and port block. */
  get relay(): TurnTenant['relay'] {
    return this.#config.relay;
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

  status(): TurnTenantStatus {
    return {
      namespace: this.namespace,
      generation: this.#config.generation,
      digest: this.#digest,
      allocations: this.allocations.size,
    };
  }

  /**
   * Takes other settings. Allocations live on: new secrets count for new ones only, a narrower peer policy ends the
   * permissions and channels it no longer allows, and only allocations outside the new relay block end.
   */
  async update(config: TurnTenant): Promise<void> {
    const before = this.#config.relay;
    this.#config = config;
    this.#policy = new PeerPolicy(config, this.#ownAddresses, this.#external);
    this.#digest = turnTenantDigest(config);
    this.quota.maxTotal = config.maxAllocations;
    this.quota.maxPerUsername = config.maxAllocationsPerUsername;
    this.ports.setBlock(config.relay.portStart, config.relay.portEnd);
    const { address, address6, innerAddress } = config.relay;
    const stray = [...this.allocations].filter(
      ({ port }) =>
        !this.ports.contains(port.port) ||
        innerAddress !== before.innerAddress ||
        [...port.addresses].some((own) => own !== address && own !== address6 && own !== innerAddress),
    );
    for (const allocation of this.allocations) allocation.apply(this);
    await Promise.all(stray.map((allocation) => allocation.close('relay-block-changed')));
  }

  /** Ends every allocation; resolves when all their sockets are closed. */
  async detach(reason: EndReason): Promise<void> {
    this.#detached = true;
    await Promise.all([...this.allocations].map((allocation) => allocation.close(reason)));
  }

  /** Promises a taken port to whoever shows the token (RFC 8656 section 7.2); returns the eight bytes. */
  reserve(port: number, family: AddressFamily, nowMs: number): Buffer {
    const token = randomBytes(8);
    this.#reservations.set(token.toString('hex'), { port, family, expiresAtMs: nowMs + RESERVATION_MS });
    return token;
  }

  /** The promised port with its address family, once; undefined when the token is unknown or too old. */
  redeem(token: Buffer, nowMs: number): { port: number; family: AddressFamily } | undefined {
    const name = token.toString('hex');
    const reservation = this.#reservations.get(name);
    if (reservation === undefined || reservation.expiresAtMs <= nowMs) return undefined;
    this.#reservations.delete(name);
    return reservation;
  }

  /** Lets lifetimes end and gives unclaimed reservations back. */
  sweep(nowMs: number): void {
    for (const [token, { port, expiresAtMs }] of this.#reservations) {
      if (expiresAtMs > nowMs) continue;
      this.#reservations.delete(token);
      this.ports.release(port);
    }
    for (const allocation of this.allocations) allocation.sweep();
  }
}
