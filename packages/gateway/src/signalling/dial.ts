import { type Clock, describeError } from '@orama/core';
import { SFU_TICKET_HEADER } from '@orama/protocol';
import { WebSocket } from 'ws';
import { authorityOf, type Sfu } from '../rooms/sfus.ts';
import { Leg } from './leg.ts';

const DIAL_TIMEOUT_MS = 3_000;
/** A welcome lists every peer with its metadata, so that frames from the SFU may be far larger than a client's. */
const FRAME_FROM_SFU_MAX_BYTES = 16 * 1024 * 1024;

/** The SFU did not take the connection. `status` is what it answered, if anything. */
export class DialError extends Error {
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** Opens the signalling socket to an SFU. Throws DialError. */
export function dialSfu(options: {
  sfu: Sfu;
  room: string;
  ticket: string;
  subprotocol: string;
  clock: Clock;
}): Promise<Leg> {
  const url = `ws://${authorityOf(options.sfu)}/ws/signal?room=${encodeURIComponent(options.room)}`;
  const socket = new WebSocket(url, options.subprotocol === '' ? [] : [options.subprotocol], {
    headers: { [SFU_TICKET_HEADER]: options.ticket },
    handshakeTimeout: DIAL_TIMEOUT_MS,
    maxPayload: FRAME_FROM_SFU_MAX_BYTES,
    perMessageDeflate: false,
    followRedirects: false,
  });
  const leg = new Leg(socket, options.clock);
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(leg));
    socket.once('error', (thrown) => reject(new DialError(describeError(thrown))));
    socket.once('unexpected-response', (request, response) => {
      reject(new DialError(`it answered ${response.statusCode}`, response.statusCode));
      request.destroy();
    });
  });
}
