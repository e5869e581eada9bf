import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Logger } from '@orama/core';
import type { DropCounters } from '../relay/relay.ts';
import type { Listener, PacketHandler } from './client-transport.ts';
import { type CloseReason, StreamClient } from './stream-client.ts';

export interface StreamListenerOptions {
  protocol: 'tcp' | 'tls';
  address: string;
  port: number;
  handler: PacketHandler;
  drops: DropCounters;
  clock: Clock;
  logger: Logger;
  maxConnections: number;
  maxConnectionsPerSource: number;
  /** Makes the server that accepts connections; plain TCP unless given. */
  createServer?: (accept: (socket: Socket) => void) => Server;
}

/** A TCP (or TLS) port that clients connect to. */
export class StreamListener implements Listener {
  readonly protocol: 'tcp' | 'tls';
  /** Connections closed by us, by reason. */
  readonly closed = new Map<string, number>();
  readonly #options: StreamListenerOptions;
  readonly #server: Server;
  readonly #clients = new Set<StreamClient>();
  readonly #perSource = new Map<string, number>();

  constructor(options: StreamListenerOptions) {
    this.protocol = options.protocol;
    this.#options = options;
    const accept = (socket: Socket) => this.#accept(socket);
    this.#server = options.createServer?.(accept) ?? createServer({ noDelay: true, keepAlive: true }, accept);
  }

  get connectionCount(): number {
    return this.#clients.size;
  }

  start(): Promise<void> {
    const { address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address, port, backlog: 1024 }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.logger.error({ err: error }, 'stream listener failed'));
        resolve();
      });
    });
  }

  stopAccepting(): void {
    this.#server.close();
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

  #accept(socket: Socket): void {
    const source = socket.remoteAddress;
    const { maxConnections, maxConnectionsPerSource } = this.#options;
    if (source === undefined || socket.remotePort === undefined) {
      socket.destroy();
      return;
    }
    const own = this.#perSource.get(source) ?? 0;
    if (this.#clients.size >= maxConnections || own >= maxConnectionsPerSource) {
      this.#count('too-many');
      socket.destroy();
      return;
    }
    const client = new StreamClient(this.protocol, socket, this.#options);
    this.#clients.add(client);
    this.#perSource.set(source, own + 1);
    // A reset or a failed write is told by 'close', which always follows.
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (!client.read(chunk)) this.#drop(client, 'malformed');
    });
    socket.on('close', () => this.#gone(client, source));
  }

  #drop(client: StreamClient, reason: CloseReason): void {
    if (client.destroyed) return;
    this.#count(reason);
    if (reason !== 'idle' && reason !== 'server-stopped') {
      this.#options.logger.debug({ reason, alloc: client.allocation?.id }, 'stream connection closed');
    }
    if (reason === 'slow-reader') client.endReason = 'slow-reader';
    client.destroy();
  }

  #gone(client: StreamClient, source: string): void {
    this.#clients.delete(client);
    const own = this.#perSource.get(source) ?? 1;
    if (own <= 1) this.#perSource.delete(source);
    else this.#perSource.set(source, own - 1);
    this.#options.handler.clientGone(client, client.endReason);
  }

  #count(reason: CloseReason): void {
    this.closed.set(reason, (this.closed.get(reason) ?? 0) + 1);
  }
}
