import { isIP } from 'node:net';
import { type Logger, signTicket } from '@orama/core';
import { type RoomHome, SFU_TICKET_HEADER, type SfuTicket, SIGNALLING_DESCRIPTION_MAX_BYTES } from '@orama/protocol';
import { WebSocket } from 'ws';
import type { SfuContext } from '../room/context.ts';
import { LinkSocket } from './link-socket.ts';

const DIAL_TIMEOUT_MS = 3_000;

/**
 * Opens the socket of a link to the home of a room.
 * @param ticket of a client that wants to be in the room, for the room's settings
 */
export function dialHome(home: RoomHome, ticket: SfuTicket, context: SfuContext, logger: Logger): LinkSocket {
  const { config, clock, controlKey } = context;
  const { room, ns, maxParticipants, maxSpeakers, roomMetadata } = ticket;
  const permissions = { publish: true, subscribe: true, data: true, admin: false };
  const signed = signTicket(
    controlKey,
    {
      ...{ ns, room, identity: `sfu:${config.node}`, permissions, maxParticipants, maxSpeakers, home },
      ...(roomMetadata === undefined ? {} : { roomMetadata }),
      link: config.node,
    },
    clock.now(),
  );
  const host = isIP(home.address) === 6 ? `[${home.address}]` : home.address;
  const socket = new WebSocket(`ws://${host}:${home.signalingPort}/ws/signal?room=${encodeURIComponent(room)}`, {
    headers: { [SFU_TICKET_HEADER]: signed },
    localAddress: config.address,
    handshakeTimeout: DIAL_TIMEOUT_MS,
    maxPayload: SIGNALLING_DESCRIPTION_MAX_BYTES,
    perMessageDeflate: false,
    followRedirects: false,
  });
  return new LinkSocket(socket, clock, logger);
}
