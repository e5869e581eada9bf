import { type Clock, type Logger, UserError } from '@orama/core';
import { type CreateRoom, DEFAULT_MAX_PARTICIPANTS, type Room, type SfuRoom } from '@orama/protocol';
import type { PortAllocationsRepository, RoomRow, RoomsRepository } from '@orama/store';
import { notEnabled, type WebrtcSettings, type WebrtcSettingsReader } from '../webrtc-settings.ts';
import { SfuCallError, type SfuClient } from './sfu-client.ts';
import { listSfus, type Sfu, sfuAt } from './sfus.ts';

/**
 * Seconds a kicked identity stays out. Owner keys are shared by all who hold them and do not expire: banning one would
 * shut everybody out, so a kick with them is a removal only.
 */
const OWNER_KEY_BAN_SEC = 0;

/** Rooms of a namespace as its owner manages them: rows of the store together with what the SFUs say. */
export class RoomService {
  readonly #rooms: RoomsRepository;
  readonly #ports: PortAllocationsRepository;
  readonly #settings: WebrtcSettingsReader;
  readonly #client: SfuClient;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(options: {
    rooms: RoomsRepository;
    ports: PortAllocationsRepository;
    settings: WebrtcSettingsReader;
    client: SfuClient;
    clock: Clock;
    logger: Logger;
  }) {
    this.#rooms = options.rooms;
    this.#ports = options.ports;
    this.#settings = options.settings;
    this.#client = options.client;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Rooms of the whole cluster in order of id. A SFU that does not answer leaves its rooms with the counts last stored. */
  async list(namespace: string): Promise<Room[]> {
    const settings = await this.#settings.of(namespace);
    const [rows, sfus] = await Promise.all([this.#rooms.listOf(namespace), listSfus(this.#ports, namespace)]);
    const said = new Map<string, Map<string, SfuRoom>>();
    await Promise.all(
      sfus.map(async (sfu) => {
        const rooms = await this.#roomsAt(sfu, settings);
        if (rooms) said.set(sfu.nodeId, new Map(rooms.map((room) => [room.room, room])));
      }),
    );
    return rows.map((row) => toRoom(row, said));
  }

  /**
   * Creates a room; doing it again with the same settings changes nothing.
   * Throws UserError ROOM_EXISTS when it exists with others.
   */
  async create(namespace: string, wanted: CreateRoom): Promise<Room> {
    await this.#settings.of(namespace);
    const settings = {
      maxParticipants: wanted.max_participants ?? DEFAULT_MAX_PARTICIPANTS,
      maxSpeakers: wanted.max_speakers ?? null,
      spread: wanted.spread ?? false,
      metadata: wanted.metadata ?? null,
    };
    const nowMs = this.#clock.now();
    const created = await this.#rooms.create({ namespace, roomId: wanted.room_id, ...settings, nowMs });
    const row = await this.#rooms.get(namespace, wanted.room_id);
    if (!row) throw notEnabled(namespace);
    const same =
      row.createdBy === 'api' &&
      row.maxParticipants === settings.maxParticipants &&
      row.maxSpeakers === settings.maxSpeakers &&
      row.spread === settings.spread &&
      canonicalJson(row.metadata) === canonicalJson(settings.metadata);
    if (created || same) return toRoom(row, new Map());
    throw new UserError('ROOM_EXISTS', `room ${wanted.room_id} exists with other settings`, {
      hint: 'delete it first, or choose another id',
    });
  }

  /**
   * Closes a room wherever it is held and removes its row. The row goes first: who joins from then on opens a new room.
   * Throws UserError ROOM_NOT_FOUND, SfuCallError when the SFU that holds it does not answer (it can be tried again).
   */
  async close(namespace: string, roomId: string): Promise<void> {
    const settings = await this.#settings.of(namespace);
    const sfus = await listSfus(this.#ports, namespace);
    const row = await this.#rooms.get(namespace, roomId);
    const holder = sfuAt(sfus, row?.place ?? null);
    const removed = await this.#rooms.remove(namespace, roomId);
    // All of them are told: a room that moved may still have people where it was before.
    const outcomes = await Promise.all(
      sfus.map(async (sfu) => ({
        sfu,
        outcome: await this.#client.closeRoom(sfu, settings.controlKey, roomId).catch((thrown: unknown) => thrown),
      })),
    );
    const closed = outcomes.some(({ outcome }) => typeof outcome === 'number' && outcome > 0);
    for (const { sfu, outcome } of outcomes) {
      if (typeof outcome === 'number' || (outcome instanceof SfuCallError && outcome.absent)) continue;
      if (sfu === holder || !(removed || closed)) throw outcome;
    }
    if (!removed && !closed) throw roomNotFound(roomId);
  }

  /** Who is in a room. Throws UserError ROOM_NOT_FOUND, SfuCallError. */
  async participants(namespace: string, roomId: string): Promise<SfuRoom['participants']> {
    const { settings, sfu } = await this.#locate(namespace, roomId);
    if (!sfu) return [];
    const rooms = await this.#client.rooms(sfu, settings.controlKey).catch(noneWhenAbsent);
    return rooms.find((room) => room.room === roomId)?.participants ?? [];
  }

  /** Removes a peer from a room. Throws UserError ROOM_NOT_FOUND or PEER_NOT_FOUND, SfuCallError. */
  async kick(namespace: string, room: string, peerId: string): Promise<void> {
    const { settings, sfu } = await this.#locate(namespace, room);
    if (!sfu) throw peerNotFound(room, peerId);
    await this.#client.kick(sfu, settings.controlKey, { room, peerId, banSec: OWNER_KEY_BAN_SEC });
  }

  /** Mutes or unmutes a peer for everybody. Throws UserError ROOM_NOT_FOUND or PEER_NOT_FOUND, SfuCallError. */
  async mute(
    namespace: string,
    room: string,
    peerId: string,
    how: { muted: boolean; kind?: 'audio' | 'video' | undefined },
  ): Promise<number> {
    const { settings, sfu } = await this.#locate(namespace, room);
    if (!sfu) throw peerNotFound(room, peerId);
    return this.#client.mute(sfu, settings.controlKey, {
      room,
      peerId,
      muted: how.muted,
      ...(how.kind === undefined ? {} : { kind: how.kind }),
    });
  }

  async #locate(namespace: string, roomId: string): Promise<{ settings: WebrtcSettings; sfu: Sfu | undefined }> {
    const settings = await this.#settings.of(namespace);
    const row = await this.#rooms.get(namespace, roomId);
    if (!row) throw roomNotFound(roomId);
    return { settings, sfu: sfuAt(await listSfus(this.#ports, namespace), row.place) };
  }

  async #roomsAt(sfu: Sfu, settings: WebrtcSettings): Promise<SfuRoom[] | null> {
    try {
      return await this.#client.rooms(sfu, settings.controlKey);
    } catch (thrown) {
      this.#logger.warn({ ns: sfu.namespace, sfu: sfu.nodeId, err: thrown }, 'room list of an SFU is missing');
      return null;
    }
  }
}

function toRoom(row: RoomRow, said: Map<string, Map<string, SfuRoom>>): Room {
  const holder = row.place === null ? undefined : said.get(row.place.nodeId);
  const live = holder?.get(row.roomId);
  return {
    room_id: row.roomId,
    node: row.place?.nodeId ?? null,
    participants: live?.participants.length ?? (holder ? 0 : row.participantCount),
    tracks: live?.tracks ?? 0,
    max_participants: row.maxParticipants,
    max_speakers: row.maxSpeakers,
    spread: row.spread,
    nodes: nodesOf(live),
    ...(row.metadata === null ? {} : { metadata: row.metadata }),
    created_at: new Date(row.createdAtMs).toISOString(),
  };
}

function nodesOf(room: SfuRoom | undefined): Room['nodes'] {
  const byNode = Map.groupBy(room?.participants ?? [], ({ node }) => node);
  return [...byNode].flatMap(([node, { length }]) => (node === undefined ? [] : [{ node, participants: length }]));
}

function noneWhenAbsent(thrown: unknown): SfuRoom[] {
  if (thrown instanceof SfuCallError && thrown.absent) return [];
  throw thrown;
}

function roomNotFound(roomId: string): UserError {
  return new UserError('ROOM_NOT_FOUND', `there is no room ${roomId}`);
}

function peerNotFound(roomId: string, peerId: string): UserError {
  return new UserError('PEER_NOT_FOUND', `there is no peer ${peerId} in room ${roomId}`);
}

/** JSON with the members of objects in order of name, so that equal values give equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    member !== null && typeof member === 'object' && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
