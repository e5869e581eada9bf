import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type Clock,
  createInternalServer,
  type InternalHandler,
  type Logger,
  listen,
  splitTarget,
  verifyTicket,
} from '@orama/core';
import { SFU_TICKET_HEADER, type SfuTicket } from '@orama/protocol';
import type { Upgrade } from '../worker/worker-handle.ts';

const SIGNALLING_PATH = '/ws/signal';

export interface SignallingServerOptions {
  address: string;
  port: number;
  namespace: string;
  /** Verifies tickets. */
  controlKey: Buffer;
  clock: Clock;
  logger: Logger;
  /** Takes a client's socket. */
  accept: (upgrade: Upgrade, socket: Duplex) => void;
  /** HTTP besides the WebSocket: health, metrics, room commands. */
  http: InternalHandler;
}

/** Listens for the gateway's signalling sockets and room commands; on the WireGuard address, nowhere else. */
export class SignallingServer {
  readonly #options: SignallingServerOptions;
  readonly #http: Server;

  constructor(options: SignallingServerOptions) {
    this.#options = options;
    this.#http = createInternalServer(options.http, options.logger);
    this.#http.maxConnections = 4_000;
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
  }

  /** @throws Error when the address or port cannot be bound */
  async start(): Promise<void> {
    const { address, port } = this.#options;
    await listen(this.#http, { address, port, field: 'address, signalingPort' });
  }

  /**
   * Stops listening, and ends calls that are not answered yet. The end is not waited for: Node counts a socket that was
   * handed to another process until that one says it is closed, which a process that died never does.
   */
  stop(): void {
    this.#http.close();
    this.#http.closeAllConnections();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node takes its own listener away at an upgrade; a reset connection would end the process.
    socket.on('error', () => socket.destroy());
    const target = request.url ?? '/';
    const { path, query } = splitTarget(target);
    if (path !== SIGNALLING_PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      return;
    }
    const ticket = this.#checkTicket(request, query.get('room'));
    this.#options.accept({ target, headers: request.headers as Record<string, string>, head, ticket }, socket);
  }

  #checkTicket(request: IncomingMessage, room: string | null): SfuTicket | null {
    const header = request.headers[SFU_TICKET_HEADER];
    const ticket = verifyTicket(
      this.#options.controlKey,
      typeof header === 'string' ? header : undefined,
      this.#options.clock.now(),
    );
    return ticket && ticket.ns === this.#options.namespace && (room === null || room === ticket.room) ? ticket : null;
  }
}
