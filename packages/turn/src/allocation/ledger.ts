import { randomBytes } from 'node:crypto';
import type { TurnTenant } from '@orama/protocol';
import type { AddressFamily } from '../stun/index.ts';
import { type Owner, Quota, type QuotaLimits } from './quota.ts';
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
export interface LeaseRequest extends Owner {
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
  /** Gives quota and port back; when it is done, others can have them. The sockets are closed by then. */
  close(id: number): void | Promise<void>;
}

interface OpenLease extends Pick<LeaseRequest, 'wish' | 'family'> {
  readonly owner: Owner;
  port: number | undefined;
  readonly token: string | undefined;
  /** Ports that could not be bound. */
  readonly tried: Set<number>;
}

/** A promised port. It counts towards its owner's quota, or reservations alone could empty a block. */
interface Reservation {
  readonly owner: Owner;
  readonly port: number;
  readonly family: AddressFamily;
  readonly expiresAtMs: number;
}

/** What the ledgers of a node have in common. */
export interface LedgerHost {
  /** Allocations of one source that a tenant may have. */
  readonly maxAllocationsPerSource: number;
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
    this.#quota = new Quota(limitsOf(config, host));
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
  update(config: TurnTenant): void {
    this.#quota.limits = limitsOf(config, this.#host);
    this.#ports.setBlock(config.relay.portStart, config.relay.portEnd);
  }

  open({ username, source, wish, family }: LeaseRequest): LeaseAnswer {
    const owner = { username, source };
    if (wish.kind === 'reserved') return this.#redeem(wish, owner);
    if (!this.#quota.take(owner)) return { ok: false, code: 486 };
    const reserves = reservesNext(wish);
    if (reserves && !this.#quota.take(owner)) {
      this.#quota.release(owner);
      return { ok: false, code: 486 };
    }
    const port = this.#take(wish);
    if (port === undefined) {
      this.#quota.release(owner);
      if (reserves) this.#quota.release(owner);
      return { ok: false, code: 508 };
    }
    const token = reserves ? randomBytes(8).toString('hex') : undefined;
    if (token !== undefined) this.#promise(token, { port: port + 1, family, owner });
    return this.#lease({ port, family, token, wish, owner });
  }

  replacePort(id: number): number | undefined {
    const lease = this.#leases.get(id);
    if (lease?.port === undefined || lease.wish.kind === 'reserved') return undefined;
    const { token, wish, family, owner, tried } = lease;
    tried.add(lease.port);
    this.#ports.release(lease.port);
    const promised = token !== undefined && this.#reservations.delete(token);
    if (promised) this.#ports.release(lease.port + 1);
    // A promise that was redeemed or is too old is not made again.
    const wanted: PortWish = promised || wish.kind !== 'even' ? wish : { kind: 'even', reserveNext: false };
    lease.port = tried.size < BIND_ATTEMPTS ? this.#take(wanted, tried) : undefined;
    // Its place in the quota goes over to the new promise, or is given back with the old one.
    if (promised && lease.port !== undefined) this.#promise(token, { port: lease.port + 1, family, owner });
    else if (promised) this.#quota.release(owner);
    return lease.port;
  }

  close(id: number): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#leases.delete(id);
    this.#quota.release(lease.owner);
    if (lease.port !== undefined) this.#ports.release(lease.port);
    this.#host.leaseEnded();
  }

  /** Gives promised ports back that nobody came for; called about once a second. */
  sweep(): void {
    const nowMs = this.#host.nowMs();
    for (const [token, { port, owner, expiresAtMs }] of this.#reservations) {
      if (expiresAtMs > nowMs) return;
      this.#reservations.delete(token);
      this.#ports.release(port);
      this.#quota.release(owner);
    }
  }

  #promise(token: string, reservation: Omit<Reservation, 'expiresAtMs'>): void {
    this.#reservations.set(token, { ...reservation, expiresAtMs: this.#host.nowMs() + RESERVATION_MS });
  }

  /** Leases what was promised, once; its place in the quota goes over to whoever shows the token. */
  #redeem(wish: PortWish & { kind: 'reserved' }, owner: Owner): LeaseAnswer {
    const reservation = this.#reservations.get(wish.token);
    if (reservation === undefined || reservation.expiresAtMs <= this.#host.nowMs()) return { ok: false, code: 508 };
    if (!this.#quota.move(reservation.owner, owner)) return { ok: false, code: 486 };
    this.#reservations.delete(wish.token);
    const { port, family } = reservation;
    return this.#lease({ port, family, token: undefined, wish, owner });
  }

  #lease(lease: Omit<OpenLease, 'tried'> & { readonly port: number }): LeaseAnswer {
    const { port, family, token } = lease;
    const id = this.#host.nextId();
    this.#leases.set(id, { ...lease, tried: new Set() });
    return { ok: true, lease: { id, port, family, token } };
  }

  #take(wish: PortWish, except?: ReadonlySet<number>): number | undefined {
    if (wish.kind !== 'even') return this.#ports.take(except);
    return wish.reserveNext ? this.#ports.takePair(except) : this.#ports.takeEven(except);
  }
}

function reservesNext(wish: PortWish): boolean {
  return wish.kind === 'even' && wish.reserveNext;
}

function limitsOf(config: TurnTenant, host: LedgerHost): QuotaLimits {
  return {
    total: config.maxAllocations,
    perUsername: config.maxAllocationsPerUsername,
    perSource: host.maxAllocationsPerSource,
  };
}
