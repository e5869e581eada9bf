import type { Clock } from '@orama/core';
import type { ClientTransport } from '../listener/client-transport.ts';
import { BothBudgets, ByteRate } from '../relay/byte-rate.ts';
import type { ByteBudget, PermittedHost, RelayPort } from '../relay/relay.ts';
import { type AddressFamily, familyOf, type TransportAddress } from '../stun/index.ts';
import type { PeerPolicy } from '../tenant/peer-policy.ts';
import { Channels } from './channels.ts';
import { Permissions } from './permissions.ts';

/** Permissions one allocation may hold; more are refused with 508. */
const MAX_PERMISSIONS = 256;
/** Channels one allocation may hold; more are refused with 508. */
const MAX_CHANNELS = 256;

/** Why an allocation ended; a metric label and a log field. */
export type EndReason =
  | 'refreshed-to-zero'
  | 'expired'
  | 'client-disconnected'
  | 'tenant-detached'
  | 'relay-block-changed'
  | 'secret-revoked'
  | 'slow-reader'
  | 'server-stopped';

/** What a tenant's settings say about allocations that live. */
export interface AllocationSettings {
  readonly policy: PeerPolicy;
  /** Application data a second, both directions together; undefined: no limit. */
  readonly allocationBytesPerSec: number | undefined;
  /** The tenant's own limit, shared by all its allocations. */
  readonly byteBudget: ByteBudget | undefined;
}

/** A relay address of an allocation: the one that is bound here, and the one that clients are told. */
export interface RelayAddress {
  readonly local: string;
  readonly told: string;
}

export interface AllocationOptions {
  id: number;
  namespace: string;
  username: string;
  /** The tenant's secret whose password made it, whatever the credential's expiry. It ends when that is revoked, not when it is retired. */
  secret: string;
  client: ClientTransport;
  port: RelayPort;
  /** One address, or two of different families (RFC 8656 section 7.2); `port` is bound to them. */
  relayAddresses: readonly RelayAddress[];
  settings: AllocationSettings;
  lifetimeSec: number;
  clock: Clock;
  /** Called once, after the relay port's sockets are closed; resolves when others can have the port. */
  onClosed: (allocation: Allocation, reason: EndReason) => Promise<void>;
}

/** The half of an allocation that is of one address family; most have only one. */
interface Half extends RelayAddress {
  expiresAtMs: number;
}

/** One client's relay addresses with their permissions, channels and lifetimes (RFC 8656 section 5). Owns its relay port. */
export class Allocation {
  readonly id: number;
  readonly namespace: string;
  readonly username: string;
  readonly secret: string;
  readonly client: ClientTransport;
  readonly port: RelayPort;
  readonly permissions: Permissions;
  readonly channels: Channels;
  readonly createdAtMs: number;
  readonly #clock: Clock;
  readonly #onClosed: AllocationOptions['onClosed'];
  readonly #halves = new Map<AddressFamily, Half>();
  #closing: Promise<void> | undefined;

  constructor(options: AllocationOptions) {
    this.id = options.id;
    this.namespace = options.namespace;
    this.username = options.username;
    this.secret = options.secret;
    this.client = options.client;
    this.port = options.port;
    this.permissions = new Permissions(options.port, MAX_PERMISSIONS);
    this.channels = new Channels(options.port, MAX_CHANNELS);
    this.#clock = options.clock;
    this.#onClosed = options.onClosed;
    this.createdAtMs = options.clock.monotonic();
    const expiresAtMs = this.createdAtMs + options.lifetimeSec * 1000;
    for (const address of options.relayAddresses) {
      this.#halves.set(familyOf(address.local), { ...address, expiresAtMs });
    }
    this.#limit(options.settings);
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether it has a relay address of a family. */
  has(family: AddressFamily): boolean {
    return this.#halves.has(family);
  }

  /** Its relay addresses as clients are told them. */
  get relayed(): TransportAddress[] {
    return Array.from(this.#halves, ([family, { told }]) => ({ family, address: told, port: this.port.port }));
  }

  /** Opens the socket that a peer is reached from, unless it is open. Rejects with the system's error. */
  async reach(host: PermittedHost): Promise<void> {
    if (this.port.isBound(host.source)) return;
    await this.port.bind(host.source);
    // The half it is for may have ended meanwhile.
    if (!this.closed && !this.has(familyOf(host.source))) await this.port.unbind(host.source);
  }

  /** Gives it, or its half of one family, `lifetimeSec` from now. */
  refresh(lifetimeSec: number, family?: AddressFamily): void {
    const expiresAtMs = this.#clock.monotonic() + lifetimeSec * 1000;
    for (const [own, half] of this.#halves) if (family === undefined || own === family) half.expiresAtMs = expiresAtMs;
  }

  /** Ends it as `close` does, or its half of one family with the permissions, channels and sockets of that half. */
  async end(reason: EndReason, family?: AddressFamily): Promise<void> {
    if (family !== undefined) this.#halves.delete(family);
    if (family === undefined || this.#halves.size === 0) return this.close(reason);
    const ofFamily = (address: string) => familyOf(address) === family;
    this.channels.endWhere(ofFamily);
    this.permissions.endWhere(ofFamily);
    const stray = [...this.port.addresses].filter(ofFamily);
    await Promise.all(stray.map((address) => this.port.unbind(address)));
  }

  /** Ends what has run out of life: permissions, channels, a half, or the allocation itself. */
  sweep(): void {
    const nowMs = this.#clock.monotonic();
    for (const [family, half] of this.#halves) if (half.expiresAtMs <= nowMs) void this.end('expired', family);
    if (this.closed) return;
    this.permissions.sweep(nowMs);
    this.channels.sweep(nowMs);
  }

  /** Applies a tenant's changed settings to what is installed already. */
  apply(settings: AllocationSettings): void {
    this.rejudge(settings.policy);
    this.#limit(settings);
  }

  /** Ends the permissions and channels that a policy does not allow. */
  rejudge(policy: PeerPolicy): void {
    const own = this.relayed;
    this.permissions.rejudge((address) => {
      const verdict = policy.judge(address, own);
      return verdict.allowed && this.port.isBound(verdict.host.source) ? verdict.host : undefined;
    });
    this.channels.endWhere((address, port) => !policy.judgeEndpoint(address, port, own).allowed);
  }

  /** Stops relaying at once; resolves when others can have its port and its place in the quota. Idempotent. */
  close(reason: EndReason): Promise<void> {
    this.#closing ??= this.#end(reason);
    return this.#closing;
  }

  #limit({ allocationBytesPerSec, byteBudget }: AllocationSettings): void {
    const own = allocationBytesPerSec === undefined ? undefined : new ByteRate(allocationBytesPerSec);
    this.port.budget = own && byteBudget ? new BothBudgets(own, byteBudget) : (own ?? byteBudget);
  }

  async #end(reason: EndReason): Promise<void> {
    this.client.detach(reason === 'tenant-detached' || reason === 'secret-revoked');
    await this.port.close();
    await this.#onClosed(this, reason);
  }
}
