import { randomBytes } from 'node:crypto';
import { type AddressSet, turnTenantDigest } from '@orama/core';
import type { TurnTenant, TurnTenantStatus } from '@orama/protocol';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import { Quota } from '../allocation/quota.ts';
import { RESERVATION_MS, RelayPorts } from '../allocation/relay-ports.ts';
import { PeerPolicy } from './peer-policy.ts';

interface Reservation {
  readonly port: number;
  readonly expiresAtMs: number;
}

/** A namespace inside the server: its secrets, relay block, quota, peer policy and allocations. */
export class Tenant {
  readonly namespace: string;
  readonly ports: RelayPorts;
  readonly quota: Quota;
  readonly allocations = new Set<Allocation>();
  readonly #ownAddresses: AddressSet;
  readonly #reservations = new Map<string, Reservation>();
  #config: TurnTenant;
  #policy: PeerPolicy;
  #digest: string;
  #detached = false;

  constructor(config: TurnTenant, ownAddresses: AddressSet) {
    this.namespace = config.namespace;
    this.ports = new RelayPorts(config.relay.portStart, config.relay.portEnd);
    this.quota = new Quota(config.maxAllocations, config.maxAllocationsPerUsername);
    this.#ownAddresses = ownAddresses;
    this.#config = config;
    this.#policy = new PeerPolicy(config, ownAddresses);
    this.#digest = turnTenantDigest(config);
  }

  get secrets(): readonly string[] {
    return this.#config.secrets;
  }

  get relayAddress(): string {
    return this.#config.relay.address;
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
    this.#config = config;
    this.#policy = new PeerPolicy(config, this.#ownAddresses);
    this.#digest = turnTenantDigest(config);
    this.quota.maxTotal = config.maxAllocations;
    this.quota.maxPerUsername = config.maxAllocationsPerUsername;
    this.ports.setBlock(config.relay.portStart, config.relay.portEnd);
    const stray = [...this.allocations].filter(
      ({ port }) => port.address !== config.relay.address || !this.ports.contains(port.port),
    );
    for (const allocation of this.allocations) allocation.applyPolicy(this.#policy);
    await Promise.all(stray.map((allocation) => allocation.close('relay-block-changed')));
  }

  /** Ends every allocation; resolves when all their sockets are closed. */
  async detach(reason: EndReason): Promise<void> {
    this.#detached = true;
    await Promise.all([...this.allocations].map((allocation) => allocation.close(reason)));
  }

  /** Promises a taken port to whoever shows the token (RFC 8656 section 7.2); returns the eight bytes. */
  reserve(port: number, nowMs: number): Buffer {
    const token = randomBytes(8);
    this.#reservations.set(token.toString('hex'), { port, expiresAtMs: nowMs + RESERVATION_MS });
    return token;
  }

  /** The promised port, once; undefined when the token is unknown or too old. */
  redeem(token: Buffer, nowMs: number): number | undefined {
    const name = token.toString('hex');
    const reservation = this.#reservations.get(name);
    if (reservation === undefined || reservation.expiresAtMs <= nowMs) return undefined;
    this.#reservations.delete(name);
    return reservation.port;
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
