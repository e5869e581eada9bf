import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Logger } from '@orama/core';
import type { BugLog } from '../bug-log.ts';
import type { SecureContexts } from '../certificates/secure-contexts.ts';
import type { DropCounters } from '../relay/relay.ts';
import type { Listener, PacketHandler } from './client-transport.ts';
import type { SourceLimits } from './source-limits.ts';
import { type CloseReason, StreamClient } from './stream-client.ts';
import { StreamOutbox } from './stream-outbox.ts';
import { secureServerSocket } from './tls.ts';

export interface StreamListenerOptions {
  address: string;
  port: number;
  handler: PacketHandler;
  drops: DropCounters;
  clock: Clock;
  logger: Logger;
  bugs: BugLog;
  /** Whether other workers listen on the same port (SO_REUSEPORT). */
  reusePort: boolean;
  /** Counts connections, and handshakes as unauthenticated requests, over the whole node. */
  sourceLimits: SourceLimits;
  /** With it the listener speaks TLS. A handshake costs its source as much as an unauthenticated request. */
  tls?: { contexts: SecureContexts };
}

/** A TCP or TLS port that clients connect to. Connections count from the moment they are accepted. */
export class StreamListener implements Listener {
  readonly protocol: 'tcp' | 'tls';
  /** Connections closed by us, by reason. */
  readonly closed = new Map<CloseReason, number>();
  readonly #options: StreamListenerOptions;
  readonly #outbox = new StreamOutbox();
  readonly #server: Server;
  readonly #clients = new Set<StreamClient>();

  constructor(options: StreamListenerOptions) {
    this.protocol = options.tls === undefined ? 'tcp' : 'tls';
    this.#options = options;
    this.#server = createServer({ noDelay: true, keepAlive: true }, (connection) => this.accept(connection));
  }

  get connectionCount(): number {
    return this.#clients.size;
  }

  start(): Promise<void> {
    const { address, port, reusePort } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address, port, reusePort, backlog: 1024 }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.logger.error({ err: error }, 'stream listener failed'));
        resolve();
      });
    });
  }

  sweep(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const client of this.#clients) {
      const reason = client.overdue(nowMs);
      if (reason !== undefined) this.#drop(client, reason);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
    for (const client of this.#clients) this.#drop(client, 'server-stopped');
    await closed;
  }

  /** Takes a connection that has come about, here or on a port that is shared. */
  accept(connection: Socket, sharedPort?: number): void {
    // A reset or a failed write is told by 'close', which always follows.
    connection.on('error', () => undefined);
    const source = connection.remoteAddress;
    if (source === undefined || !this.#admits(source)) {
      connection.destroy();
      return;
    }
    const { tls, bugs } = this.#options;
    const socket = tls === undefined ? connection : secureServerSocket(connection, tls.contexts);
    const client = new StreamClient(this.protocol, socket, { ...this.#options, outbox: this.#outbox, sharedPort });
    this.#clients.add(client);
    socket.on('error', () => undefined);
    socket.on('secure', () => client.opened());
    socket.on('data', (chunk) => {
      try {
        if (!client.read(chunk)) this.#drop(client, 'malformed');
      } catch (thrown) {
        // The frame reader may stand in the middle of a frame.
        bugs.report(thrown);
        this.#drop(client, 'malformed');
      }
    });
    socket.on('end', () => client.ended());
    socket.on('close', () => this.#gone(client, source));
  }

  #admits(source: string): boolean {
    const { sourceLimits, tls, clock } = this.#options;
    if (tls !== undefined && !sourceLimits.takeRequest('tls', source, clock.now())) {
      this.#count('rate-limited');
      return false;
    }
    if (sourceLimits.openConnection(source)) return true;
    this.#count('too-many');
    return false;
  }

  #drop(client: StreamClient, reason: CloseReason): void {
    if (client.destroyed) return;
    this.#count(reason);
    client.closeReason = reason;
    if (reason !== 'idle' && reason !== 'server-stopped') {
      this.#options.logger.debug({ reason, alloc: client.allocation?.id }, 'stream connection closed');
    }
    client.destroy();
  }

  #gone(client: StreamClient, source: string): void {
    this.#clients.delete(client);
    this.#options.sourceLimits.closeConnection(source);
    if (client.handshaking && client.closeReason === undefined) this.#count('handshake-failed');
    this.#options.handler.clientGone(
      client,
      client.closeReason === 'slow-reader' ? 'slow-reader' : 'client-disconnected',
    );
  }

  #count(reason: CloseReason): void {
    this.closed.set(reason, (this.closed.get(reason) ?? 0) + 1);
  }
}
