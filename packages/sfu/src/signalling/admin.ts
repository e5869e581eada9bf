import {
  type InternalHandler,
  OramaError,
  parseConfig,
  type RequestVerifier,
  SIGNATURE_HEADER,
  UserError,
} from '@orama/core';
import {
  roomIdSchema,
  sfuKickSchema,
  sfuMuteSchema,
  sfuSessionCloseSchema,
  sfuSessionIceSchema,
  sfuSessionOpenSchema,
} from '@orama/protocol';
import type { z } from 'zod';
import type { Rooms } from '../room/rooms.ts';
import type { HttpSessions } from './http-sessions.ts';

/**
 * Room commands of gateway and controlplane (protocol/internal/sfu-admin), and the sessions of WHIP and WHEP
 * (protocol/internal/sfu-session), each signed with the namespace's control key.
 */
export function adminHandler(
  rooms: Rooms,
  sessions: HttpSessions,
  verifier: RequestVerifier,
  now: () => number,
): InternalHandler {
  return ({ method, path, query, target, body, headers }) => {
    if (!/^\/(?:rooms|sessions)(?:\/|$)/.test(path)) return undefined;
    const refusal = verifier.verify(headers[SIGNATURE_HEADER] as string | undefined, method, target, body, now());
    if (refusal !== null)
      throw new OramaError('UNAUTHORIZED', `the room command is not signed as it must be: ${refusal}`);
    switch (`${method} ${path}`) {
      case 'GET /rooms':
        return { status: 200, body: { rooms: rooms.list() } };
      case 'DELETE /rooms': {
        const room = read(roomIdSchema, query.get('room'), 'room');
        return { status: 200, body: { affected: rooms.close(room) } };
      }
      case 'POST /rooms/kick': {
        const { room, peerId, reason, banSec } = read(sfuKickSchema, json(body), 'body');
        rooms.kick(room, peerId, reason, banSec);
        return { status: 200, body: { affected: 1 } };
      }
      case 'POST /rooms/mute': {
        const { room, peerId, muted, kind } = read(sfuMuteSchema, json(body), 'body');
        return { status: 200, body: { affected: rooms.mute(room, peerId, muted, kind) } };
      }
      case 'POST /sessions/open':
        return { status: 200, body: sessions.open(read(sfuSessionOpenSchema, json(body), 'body')) };
      case 'POST /sessions/ice':
        return { status: 200, body: sessions.ice(read(sfuSessionIceSchema, json(body), 'body')) };
      case 'POST /sessions/close':
        sessions.close(read(sfuSessionCloseSchema, json(body), 'body'));
        return { status: 200, body: { affected: 1 } };
      default:
        return undefined;
    }
  };
}

function read<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  return parseConfig(schema, value, what);
}

function json(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw new UserError('INVALID_REQUEST', 'the body is not JSON');
  }
}
