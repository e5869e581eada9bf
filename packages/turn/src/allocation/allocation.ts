import type { Clock, Logger } from '@orama/core';
import type { ClientTransport } from '../listener/client-transport.ts';
import type { RelayPort } from '../relay/relay.ts';
import type { PeerPolicy } from '../tenant/peer-policy.ts';
import { Channels } from './channels.ts';
import { Permissions } from './permissions.ts';

/** Permissions one allocation may hold; more are refused with 508. */
const MAX_PERMISSIONS = 256;

/** Why an allocation ended; a metric label and a log field. */
export type EndReason =
  | 'refreshed-to-zero'
  | 'expired'
  | 'client-disconnected'
  | 'tenant-detached'
  | 'relay-block-changed'
  | 'slow-reader'
  | 'server-stopped';

export interface AllocationOptions {
  id: number;
  namespace: string;
  username: string;
  /** The long-term key that made it; later requests are checked with it, whatever the credential's expiry. */
  key: Buffer;
  client: ClientTransport;
  port: RelayPort;
  lifetimeSec: number;
  clock: Clock;
  logger: Logger;
  /** Called once, after the relay port is free again. */
  onClosed: (allocation: Allocation, reason: EndReason) => void;
}

/** One client's relay address with its permissions, channels and lifetime (RFC 8656 section 5). Owns its relay port. */
export class Allocation {
  readonly id: number;
  readonly namespace: string;
  readonly username: string;
  readonly key: Buffer;
  readonly client: ClientTransport;
  readonly port: RelayPort;
  readonly permissions: Permissions;
  readonly channels: Channels;
  readonly createdAtMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onClosed: AllocationOptions['onClosed'];
  #expiresAtMs: number;
  #closing: Promise<void> | undefined;

  constructor(options: AllocationOptions) {
    this.id = options.id;
    this.namespace = options.namespace;
    this.username = options.username;
    this.key = options.key;
    this.client = options.client;
    this.port = options.port;
    this.permissions = new Permissions(options.port, MAX_PERMISSIONS);
    this.channels = new Channels(options.port);
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onClosed = options.onClosed;
    this.createdAtMs = options.clock.monotonic();
    this.#expiresAtMs = this.createdAtMs + options.lifetimeSec * 1000;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Gives it `lifetimeSec` from now. */
  refresh(lifetimeSec: number): void {
    this.#expiresAtMs = this.#clock.monotonic() + lifetimeSec * 1000;
  }

  /** Ends what has run out of life: permissions, channels, or the allocation itself. */
  sweep(): void {
    const nowMs = this.#clock.monotonic();
    if (this.#expiresAtMs <= nowMs) {
      void this.close('expired');
      return;
    }
    this.permissions.sweep(nowMs);
    this.channels.sweep(nowMs);
  }

  /** Applies a changed peer policy to what is installed already. */
  applyPolicy(policy: PeerPolicy): void {
    this.permissions.rejudge((address) => {
      const verdict = policy.judge(address);
      return verdict.allowed ? verdict.host : undefined;
    });
    this.channels.rejudge((address, port) => policy.judgeEndpoint(address, port).allowed);
  }

  /** Stops relaying at once; resolves when the relay port is free again. Idempotent. */
  close(reason: EndReason): Promise<void> {
    this.#closing ??= this.#end(reason);
    return this.#closing;
  }

  async #end(reason: EndReason): Promise<void> {
    this.client.detach(reason === 'tenant-detached');
    await this.port.close();
    this.#onClosed(this, reason);
    this.#logger.info(
      {
        ns: this.namespace,
        alloc: this.id,
        reason,
        durMs: Math.round(this.#clock.monotonic() - this.createdAtMs),
        transport: this.client.protocol,
        relayPort: this.port.port,
        ...this.port.counters,
      },
      'allocation ended',
    );
  }
}
