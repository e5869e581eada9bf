import { type Clock, describeError, OramaError, SIGNATURE_HEADER, signRequest, UserError } from '@orama/core';
import {
  type ErrorCode,
  errorBodySchema,
  type SfuHealth,
  type SfuRoom,
  type SfuSessionClose,
  type SfuSessionIce,
  type SfuSessionIceAnswer,
  type SfuSessionOpen,
  type SfuSessionOpened,
  sfuAffectedSchema,
  sfuHealthSchema,
  sfuRoomListSchema,
  sfuSessionIceAnswerSchema,
  sfuSessionOpenedSchema,
} from '@orama/protocol';
import { authorityOf, type Sfu } from './sfus.ts';

const HEALTH_TIMEOUT_MS = 1_000;
const LIST_TIMEOUT_MS = 1_500;
const COMMAND_TIMEOUT_MS = 3_000;

interface Parser<T> {
  parse(value: unknown): T;
}

/** A call to an SFU failed. */
export class SfuCallError extends OramaError {
  /** True when its port refused the connection: no process is there, so no room is either. */
  readonly absent: boolean;

  constructor(sfu: Sfu, doing: string, cause: unknown) {
    super('SFU_UNAVAILABLE', `${doing} at the SFU of ${sfu.nodeId} failed`, { retryable: true, cause });
    this.absent = causeCode(cause) === 'ECONNREFUSED';
  }
}

function causeCode(thrown: unknown): unknown {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}

/** Signed HTTP calls to SFUs. Every method throws SfuCallError; commands also UserError (see PASSED_ON). */
export class SfuClient {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the SFU says of itself; an answer of another namespace's SFU on a reused port counts as none. */
  async health(sfu: Sfu, timeoutMs = HEALTH_TIMEOUT_MS): Promise<SfuHealth> {
    const health = await this.#call(sfu, null, 'GET', '/healthz', undefined, sfuHealthSchema, timeoutMs);
    if (health.namespace === sfu.namespace) return health;
    throw new SfuCallError(sfu, 'asking for the health', new Error(`it serves namespace ${health.namespace}`));
  }

  async rooms(sfu: Sfu, key: Buffer): Promise<SfuRoom[]> {
    return (await this.#call(sfu, key, 'GET', '/rooms', undefined, sfuRoomListSchema, LIST_TIMEOUT_MS)).rooms;
  }

  /** Closes a room, if it is there. @returns how many peers were in it */
  async closeRoom(sfu: Sfu, key: Buffer, room: string): Promise<number> {
    return this.#command(sfu, key, 'DELETE', `/rooms?room=${encodeURIComponent(room)}`, undefined);
  }

  /** Removes a peer, and keeps its identity out for `banSec`. */
  async kick(sfu: Sfu, key: Buffer, body: { room: string; peerId: string; banSec: number }): Promise<void> {
    await this.#command(sfu, key, 'POST', '/rooms/kick', body);
  }

  /** Mutes or unmutes a peer's tracks. @returns how many changed */
  async mute(
    sfu: Sfu,
    key: Buffer,
    body: { room: string; peerId: string; muted: boolean; kind?: 'audio' | 'video' },
  ): Promise<number> {
    return this.#command(sfu, key, 'POST', '/rooms/mute', body);
  }

  /** Opens a session for a client without signalling. */
  openSession(sfu: Sfu, key: Buffer, body: SfuSessionOpen): Promise<SfuSessionOpened> {
    return this.#call(sfu, key, 'POST', '/sessions/open', body, sfuSessionOpenedSchema, COMMAND_TIMEOUT_MS);
  }

  /** Hands an ICE fragment to a session. */
  sessionIce(sfu: Sfu, key: Buffer, body: SfuSessionIce): Promise<SfuSessionIceAnswer> {
    return this.#call(sfu, key, 'POST', '/sessions/ice', body, sfuSessionIceAnswerSchema, COMMAND_TIMEOUT_MS);
  }

  async closeSession(sfu: Sfu, key: Buffer, body: SfuSessionClose): Promise<void> {
    await this.#command(sfu, key, 'POST', '/sessions/close', body);
  }

  async #command(sfu: Sfu, key: Buffer, method: string, target: string, body: object | undefined): Promise<number> {
    const { affected } = await this.#call(sfu, key, method, target, body, sfuAffectedSchema, COMMAND_TIMEOUT_MS);
    return affected;
  }

  async #call<T>(
    sfu: Sfu,
    key: Buffer | null,
    method: string,
    target: string,
    body: object | undefined,
    answer: Parser<T>,
    timeoutMs: number,
  ): Promise<T> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers: Record<string, string> = {};
    if (key) headers[SIGNATURE_HEADER] = signRequest(key, method, target, text, this.#clock.now());
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
      const response = await fetch(`http://${authorityOf(sfu)}${target}`, {
        method,
        headers,
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: text }),
      });
      const content = await response.text();
      if (!response.ok) throw refusalOf(response.status, content);
      return answer.parse(JSON.parse(content));
    } catch (thrown) {
      if (thrown instanceof UserError) throw thrown;
      throw new SfuCallError(sfu, `${method} ${target.split('?')[0]} (${describeError(thrown)})`, thrown);
    }
  }
}

/** Refusals that are the caller's to know; everything else that an SFU refuses is our fault. */
const PASSED_ON: readonly ErrorCode[] = [
  'ROOM_NOT_FOUND',
  'PEER_NOT_FOUND',
  'SESSION_NOT_FOUND',
  'INVALID_REQUEST',
  'FORBIDDEN',
  'ROOM_FULL',
  'PRECONDITION_FAILED',
  'RATE_LIMITED',
  'UNAVAILABLE',
];

/** What the SFU said no with. */
function refusalOf(status: number, content: string): Error {
  const { success, data } = errorBodySchema.safeParse(parseJson(content));
  const code = success ? PASSED_ON.find((passed) => passed === data.error.code) : undefined;
  if (success && code) {
    const { message, hint, retryable } = data.error;
    return new UserError(code, message, { retryable, ...(hint === undefined ? {} : { hint }) });
  }
  return new Error(`it answered ${status} ${content.slice(0, 200)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
