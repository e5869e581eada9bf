import { describeError, OramaError } from '@orama/core';
import {
  type CreateRoom,
  ERROR_STATUS,
  type ErrorCode,
  errorBodySchema,
  type MutePeer,
  mutedPeerSchema,
  type ParticipantList,
  participantListSchema,
  type Room,
  roomListSchema,
  roomSchema,
} from '@orama/protocol';
import type { z } from 'zod';
import { startGateway, thisPlace } from '../remedies.ts';
import type { GatewayAccess } from '../settings.ts';

const CALL_TIMEOUT_MS = 15_000;
const ROOMS = '/v1/webrtc/rooms';

/** Calls a gateway's REST API as the owner of a namespace. Methods throw OramaError: UNAVAILABLE, or the answer's code. */
export class GatewayClient {
  readonly #access: GatewayAccess;

  constructor(access: GatewayAccess) {
    this.#access = access;
  }

  /** Rooms of the namespace in order of id. */
  async rooms(): Promise<Room[]> {
    return (await this.#call('GET', ROOMS, roomListSchema)).rooms;
  }

  /** Throws ROOM_NOT_FOUND. */
  async room(id: string): Promise<Room> {
    const room = (await this.rooms()).find(({ room_id }) => room_id === id);
    if (room) return room;
    throw new OramaError('ROOM_NOT_FOUND', `there is no room ${id}`, { hint: 'see "orama room list"' });
  }

  /** Throws ROOM_EXISTS when it exists with other settings. */
  createRoom(room: CreateRoom): Promise<Room> {
    return this.#call('POST', ROOMS, roomSchema, room);
  }

  /** Throws ROOM_NOT_FOUND. */
  async deleteRoom(id: string): Promise<void> {
    await this.#call('DELETE', `${ROOMS}?room_id=${encodeURIComponent(id)}`, null);
  }

  /** Throws ROOM_NOT_FOUND. */
  async participants(room: string): Promise<ParticipantList['participants']> {
    return (await this.#call('GET', participantsPath(room), participantListSchema)).participants;
  }

  /** Throws ROOM_NOT_FOUND, PEER_NOT_FOUND. */
  async kick(room: string, peerId: string): Promise<void> {
    await this.#call('DELETE', `${participantsPath(room)}/${encodeURIComponent(peerId)}`, null);
  }

  /** Throws ROOM_NOT_FOUND, PEER_NOT_FOUND. @returns how many tracks changed */
  async mute(room: string, peerId: string, how: MutePeer): Promise<number> {
    const path = `${participantsPath(room)}/${encodeURIComponent(peerId)}/mute`;
    return (await this.#call('POST', path, mutedPeerSchema, how)).affected;
  }

  async #call<S extends z.ZodType | null>(
    method: string,
    path: string,
    answer: S,
    body?: object,
  ): Promise<S extends z.ZodType ? z.output<S> : undefined> {
    const { url, apiKey } = this.#access;
    const asked = await fetch(new URL(path, url), {
      method,
      headers: { 'x-api-key': apiKey, ...(body && { 'content-type': 'application/json' }) },
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      ...(body && { body: JSON.stringify(body) }),
    }).then(
      async (response) => ({ status: response.status, text: await response.text() }),
      (thrown: unknown) => {
        throw unreachable(url, thrown);
      },
    );
    if (asked.status >= 400) throw refusalOf(url, asked.status, asked.text);
    const result = answer === null ? undefined : answer.parse(JSON.parse(asked.text));
    return result as S extends z.ZodType ? z.output<S> : undefined;
  }
}

function participantsPath(room: string): string {
  return `${ROOMS}/${encodeURIComponent(room)}/participants`;
}

function unreachable(url: string, thrown: unknown): OramaError {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return new OramaError('UNAVAILABLE', `no gateway answers at ${url}: ${describeError(cause)}`, {
    hint: startGateway(thisPlace()),
    retryable: true,
    cause: thrown,
  });
}

/** The error that the gateway answered, or that something else answered in its place. */
function refusalOf(url: string, status: number, text: string): OramaError {
  const body = errorBodySchema.safeParse(parseJson(text));
  if (!body.success || !(body.data.error.code in ERROR_STATUS)) {
    return new OramaError('UNAVAILABLE', `${url} answered ${status}, and not as a gateway of this product does`, {
      hint: 'check the address given with --gateway',
    });
  }
  const { code, message, hint, retryable, details } = body.data.error;
  return new OramaError(code as ErrorCode, message, {
    retryable,
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
