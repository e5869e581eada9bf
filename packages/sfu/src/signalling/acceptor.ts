import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Logger } from '@orama/core';
import { ENVELOPE_SUBPROTOCOL, SIGNALLING_CLOSE, SIGNALLING_DESCRIPTION_MAX_BYTES } from '@orama/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Rooms } from '../room/rooms.ts';
import type { Upgrade } from '../worker/worker-handle.ts';
import { dialectOf } from './dialects.ts';
import { LinkSocket } from './link-socket.ts';
import { Session } from './session.ts';

/** Makes sessions of the sockets that a worker is handed. */
export class Acceptor {
  readonly #options: { rooms: Rooms; clock: Clock; logger: Logger };
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: SIGNALLING_DESCRIPTION_MAX_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(ENVELOPE_SUBPROTOCOL) ? ENVELOPE_SUBPROTOCOL : false),
  });

  constructor(options: { rooms: Rooms; clock: Clock; logger: Logger }) {
    this.#options = options;
  }

  /** Answers the upgrade and speaks with the client from then on. */
  accept(upgrade: Upgrade, socket: Duplex): void {
    // Node takes its own listener away at an upgrade; a reset connection would end the process.
    socket.on('error', () => socket.destroy());
    const request = new IncomingMessage(socket as Socket);
    Object.assign(request, { method: 'GET', url: upgrade.target, headers: upgrade.headers });
    this.#sockets.handleUpgrade(request, socket, Buffer.from(upgrade.head), (webSocket) =>
      this.#open(webSocket, upgrade),
    );
  }

  /** Closes every socket. */
  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(SIGNALLING_CLOSE.moved, 'draining');
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  #open(socket: WebSocket, { ticket }: Upgrade): void {
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
    if (ticket.link !== undefined) {
      rooms.link(ticket, new LinkSocket(socket, clock, logger.child({ room: ticket.room })));
      return;
    }
    new Session({ socket, dialect, ticket, rooms, clock, logger });
  }
}
