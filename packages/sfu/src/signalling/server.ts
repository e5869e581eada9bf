import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type Clock,
  closeServer,
  createInternalServer,
  type InternalHandler,
  type Logger,
  listen,
  splitTarget,
  verifyTicket,
} from '@orama/core';
import {
  ENVELOPE_SUBPROTOCOL,
  SFU_TICKET_HEADER,
  type SfuTicket,
  SIGNALLING_CLOSE,
  SIGNALLING_DESCRIPTION_MAX_BYTES,
} from '@orama/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Rooms } from '../room/rooms.ts';
import { dialectOf } from './dialects.ts';
import { Session } from './session.ts';

const SIGNALLING_PATH = '/ws/signal';

export interface SignallingServerOptions {
  address: string;
  port: number;
  namespace: string;
  /** Verifies tickets. */
  controlKey: Buffer;
  rooms: Rooms;
  clock: Clock;
  logger: Logger;
  /** HTTP besides the WebSocket: health, metrics, room commands. */
  http: InternalHandler;
}

/** Listens for the gateway's signalling sockets and room commands; on the WireGuard address, nowhere else. */
export class SignallingServer {
  readonly #options: SignallingServerOptions;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: SIGNALLING_DESCRIPTION_MAX_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(ENVELOPE_SUBPROTOCOL) ? ENVELOPE_SUBPROTOCOL : false),
  });

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

  /** Closes every socket and stops listening. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(SIGNALLING_CLOSE.moved, 'draining');
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (const socket of this.#sockets.clients) socket.terminate();
    await closeServer(this.#http);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node takes its own listener away at an upgrade; a reset connection would end the process.
    socket.on('error', () => socket.destroy());
    const { path, query } = splitTarget(request.url);
    if (path !== SIGNALLING_PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      return;
    }
    const ticket = this.#checkTicket(request, query.get('room'));
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#accept(webSocket, ticket));
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

  #accept(socket: WebSocket, ticket: SfuTicket | null): void {
    const { rooms, clock, logger } = this.#options;
    const dialect = dialectOf(socket.protocol);
    if (!ticket) {
      logger.warn({ reason: 'bad ticket' }, 'signalling socket refused');
      socket.on('error', () => socket.terminate());
      socket.send(
        dialect.encode({
          type: 'error',
          code: 'unauthorized',
          message: 'the ticket is missing, forged, expired or for another room',
        }),
      );
      socket.close(SIGNALLING_CLOSE.badCredential, 'unauthorized');
      return;
    }
    new Session({ socket, dialect, ticket, rooms, clock, logger });
  }
}
