import { randomBytes } from 'node:crypto';
import type { TurnTenant } from '@orama/protocol';
import type { AddressFamily } from '../stun/index.ts';
import { Quota } from './quota.ts';
import { RelayPorts } from './relay-ports.ts';

/** How long a port promised by a RESERVATION-TOKEN is kept (RFC 8656 section 7.2: at least 30 seconds). */
const RESERVATION_MS = 30_000;
/** Port numbers tried for one lease, when other processes sit on ports of the block. */
const BIND_ATTEMPTS = 16;

/** What EVEN-PORT and RESERVATION-TOKEN ask for (RFC 8656 sections 18.5 and 18.9); the token in hexadecimal. */
export type PortWish =
  | { readonly kind: 'any' }
  | { readonly kind: 'even'; readonly reserveNext: boolean }
  | { readonly kind: 'reserved'; readonly token: string };

/** What an Allocate needs before it can bind a socket. */
export interface LeaseRequest {
  readonly username: string;
  readonly wish: PortWish;
  /** Of the relay address that must be had; a redeemed reservation brings its own. */
  readonly family: AddressFamily;
}

/** The place of one allocation in its tenant's ledger. */
export interface Lease {
  /** Number of the allocation, unique on the node since it started. */
  readonly id: number;
  readonly port: number;
  /** The family asked for, or that of the reservation redeemed. */
  readonly family: AddressFamily;
  /** Promises the port above the even one, where that was wished; in hexadecimal. */
  readonly token: string | undefined;
}

/** A lease, or the code of the error that the client gets: 486 over a quota, 508 without a port. */
export type LeaseAnswer =
  | { readonly ok: true; readonly lease: Lease }
  | { readonly ok: false; readonly code: 486 | 508 };

/**
 * What a tenant's allocations share over all workers of a node: quota, relay ports and reservations. It is kept in one
 * place; a worker on a thread of its own asks by message, which is why answers may be promises.
 */
export interface Ledger {
  /** Counts an allocation and takes a port. Whoever was given a lease gives it back with `close`. */
  open(request: LeaseRequest): LeaseAnswer | Promise<LeaseAnswer>;
  /** Another port instead of one that cannot be bound; undefined when there is none. */
  replacePort(id: number): number | undefined | Promise<number | undefined>;
  /** Gives quota and port back. The sockets are closed by then. */
  close(id: number): void;
}

interface OpenLease extends Pick<LeaseRequest, 'username' | 'wish' | 'family'> {
  port: number | undefined;
  readonly token: string | undefined;
  /** Ports that could not be bound. */
  readonly tried: Set<number>;
}

interface Reservation {
  readonly port: number;
  readonly family: AddressFamily;
  readonly expiresAtMs: number;
}

/** What the ledgers of a node have in common. */
export interface LedgerHost {
  /** A number that no allocation of the node has had. */
  nextId(): number;
  /** A time that only rises, milliseconds. */
  nowMs(): number;
  /** A lease was given back. */
  leaseEnded(): void;
}

/** The ledger of one tenant, where it is kept. */
export class TenantLedger implements Ledger {
  readonly #quota: Quota;
  readonly #ports: RelayPorts;
  readonly #leases = new Map<number, OpenLease>();
  /** In the order in which they end. */
  readonly #reservations = new Map<string, Reservation>();
  readonly #host: LedgerHost;

  constructor(config: TurnTenant, host: LedgerHost) {
    this.#quota = new Quota(config.maxAllocations, config.maxAllocationsPerUsername);
    this.#ports = new RelayPorts(config.relay.portStart, config.relay.portEnd);
    this.#host = host;
  }

  /** Leases that were not given back yet: allocations, and those that are being made. */
  get leaseCount(): number {
    return this.#leases.size;
  }

  /** Ports that are leased or promised. */
  get portCount(): number {
    return this.#ports.takenCount;
  }

  /** Takes other limits and another block. Ports taken stay taken until they are given back. */
  update({ maxAllocations, maxAllocationsPerUsername, relay }: TurnTenant): void {
    this.#quota.maxTotal = maxAllocations;
    this.#quota.maxPerUsername = maxAllocationsPerUsername;
    this.#ports.setBlock(relay.portStart, relay.portEnd);
  }

  open({ username, wish, family }: LeaseRequest): LeaseAnswer {
    if (!this.#quota.take(username)) return { ok: false, code: 486 };
    const place = wish.kind === 'reserved' ? this.#redeem(wish.token) : { port: this.#take(wish), family };
    if (place?.port === undefined) {
      this.#quota.release(username);
      return { ok: false, code: 508 };
    }
    const token = reservesNext(wish) ? randomBytes(8).toString('hex') : undefined;
    const lease = { id: this.#host.nextId(), port: place.port, family: place.family, token };
    this.#leases.set(lease.id, { username, wish, tried: new Set(), ...lease });
    if (token !== undefined) this.#promise(token, place.port + 1, place.family);
    return { ok: true, lease };
  }

  replacePort(id: number): number | undefined {
    const lease = this.#leases.get(id);
    if (lease?.port === undefined || lease.wish.kind === 'reserved') return undefined;
    lease.tried.add(lease.port);
    this.#ports.release(lease.port);
    if (lease.token !== undefined && this.#reservations.delete(lease.token)) this.#ports.release(lease.port + 1);
    lease.port = lease.tried.size < BIND_ATTEMPTS ? this.#take(lease.wish, lease.tried) : undefined;
    if (lease.token !== undefined && lease.port !== undefined) {
      this.#promise(lease.token, lease.port + 1, lease.family);
    }
    return lease.port;
  }

  close(id: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#leases.delete(id);
    this.#quota.release(lease.username);
    if (lease.port !== undefined) this.#ports.release(lease.port);
    this.#host.leaseEnded();
  }

  /** Gives promised ports back that nobody came for; called about once a second. */
  sweep(): void {
    const nowMs = this.#host.nowMs();
    for (const [token, { port, expiresAtMs }] of this.#reservations) {
      if (expiresAtMs > nowMs) return;
      this.#reservations.delete(token);
      this.#ports.release(port);
    }
  }

  #promise(token: string, port: number, family: AddressFamily): void {
    this.#reservations.set(token, { port, family, expiresAtMs: this.#host.nowMs() + RESERVATION_MS });
  }

  /** What was promised, once; undefined when the token is unknown or too old. */
  #redeem(token: string): Reservation | undefined {
    const reservation = this.#reservations.get(token);
    if (reservation === undefined || reservation.expiresAtMs <= this.#host.nowMs()) return undefined;
    this.#reservations.delete(token);
    return reservation;
  }

  #take(wish: PortWish, except?: ReadonlySet<number>): number | undefined {
    if (wish.kind !== 'even') return this.#ports.take(except);
    return wish.reserveNext ? this.#ports.takePair(except) : this.#ports.takeEven(except);
  }
}

function reservesNext(wish: PortWish): boolean {
  return wish.kind === 'even' && wish.reserveNext;
}
