import { type InternalReply, type InternalRequest, parseConfig, UserError } from '@orama/core';
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
 * Carries out a room command of gateway or controlplane (protocol/internal/sfu-admin), or one for a session of WHIP or
 * WHEP (protocol/internal/sfu-session); its signature was checked.
 * @throws UserError when room, peer or session are not here, ConfigError when the command is malformed
 */
export function roomCommand(rooms: Rooms, sessions: HttpSessions, request: InternalRequest): InternalReply | undefined {
  const { method, path, query, body } = request;
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
