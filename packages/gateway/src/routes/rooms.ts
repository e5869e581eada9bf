import { UserError } from '@orama/core';
import {
  createRoomSchema,
  METADATA_MAX_BYTES,
  mutePeerSchema,
  participantListSchema,
  roomIdSchema,
} from '@orama/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Authenticator } from '../auth/authenticator.ts';
import type { RoomService } from '../rooms/room-service.ts';
import { defineResource, parseInput } from './resource.ts';

/** `/v1/webrtc/rooms` and, below it, the participants of one room. */
export function routeRooms(app: FastifyInstance, deps: { authenticator: Authenticator; rooms: RoomService }): void {
  const { authenticator, rooms } = deps;

  defineResource(app, authenticator, '/v1/webrtc/rooms', {
    GET: {
      role: 'member',
      handle: async (_request, { namespace }) => ({ rooms: await rooms.list(namespace) }),
    },
    POST: {
      role: 'owner',
      async handle(request, { namespace }, reply) {
        const wanted = parseInput(createRoomSchema, request.body ?? {}, 'the body');
        if (Buffer.byteLength(JSON.stringify(wanted.metadata ?? {})) > METADATA_MAX_BYTES) {
          throw new UserError('INVALID_REQUEST', `metadata is larger than ${METADATA_MAX_BYTES} bytes of JSON`);
        }
        reply.code(201);
        return rooms.create(namespace, wanted);
      },
    },
    DELETE: {
      role: 'owner',
      async handle(request, { namespace }, reply) {
        const { room_id } = request.query as { room_id?: unknown };
        await rooms.close(namespace, parseInput(roomIdSchema, room_id, 'the query parameter room_id'));
        return reply.code(204).send();
      },
    },
  });

  defineResource(app, authenticator, '/v1/webrtc/rooms/:room/participants', {
    GET: {
      role: 'owner',
      handle: async (request, { namespace }) =>
        participantListSchema.parse({ participants: await rooms.participants(namespace, roomOf(request)) }),
    },
  });

  defineResource(app, authenticator, '/v1/webrtc/rooms/:room/participants/:peer', {
    DELETE: {
      role: 'owner',
      async handle(request, { namespace }, reply) {
        await rooms.kick(namespace, roomOf(request), peerOf(request));
        return reply.code(204).send();
      },
    },
  });

  defineResource(app, authenticator, '/v1/webrtc/rooms/:room/participants/:peer/mute', {
    POST: {
      role: 'owner',
      async handle(request, { namespace }) {
        const how = parseInput(mutePeerSchema, request.body ?? {}, 'the body');
        return { affected: await rooms.mute(namespace, roomOf(request), peerOf(request), how) };
      },
    },
  });
}

function roomOf(request: FastifyRequest): string {
  return parseInput(roomIdSchema, (request.params as { room: string }).room, 'the room id');
}

function peerOf(request: FastifyRequest): string {
  return (request.params as { peer: string }).peer;
}
