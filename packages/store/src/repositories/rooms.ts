import type { Database, Statement } from '../database.ts';

/** The SFU that holds a room. */
export interface RoomPlace {
  nodeId: string;
  internalIp: string;
  signalingPort: number;
}

export interface RoomRow {
  namespace: string;
  roomId: string;
  /** Null before anybody joined. */
  place: RoomPlace | null;
  participantCount: number;
  maxParticipants: number;
  /** Null forwards everybody's audio. */
  maxSpeakers: number | null;
  /** Clients go to the least busy SFU, whichever holds the room. */
  spread: boolean;
  metadata: Record<string, unknown> | null;
  createdBy: 'join' | 'api';
  createdAtMs: number;
  lastActivityMs: number;
  /** Raised whenever another SFU takes the room. */
  generation: number;
}

interface Raw {
  namespace: string;
  room_id: string;
  sfu_node_id: string | null;
  sfu_internal_ip: string | null;
  sfu_signaling_port: number | null;
  participant_count: number;
  max_participants: number;
  max_speakers: number | null;
  spread: number;
  metadata: string | null;
  created_by: 'join' | 'api';
  created_at: number;
  last_activity: number;
  generation: number;
}

function fromRaw(raw: Raw): RoomRow {
  const placed = raw.sfu_node_id !== null && raw.sfu_internal_ip !== null && raw.sfu_signaling_port !== null;
  return {
    namespace: raw.namespace,
    roomId: raw.room_id,
    place: placed
      ? {
          nodeId: raw.sfu_node_id as string,
          internalIp: raw.sfu_internal_ip as string,
          signalingPort: raw.sfu_signaling_port as number,
        }
      : null,
    participantCount: raw.participant_count,
    maxParticipants: raw.max_participants,
    maxSpeakers: raw.max_speakers,
    spread: raw.spread === 1,
    metadata: raw.metadata === null ? null : (JSON.parse(raw.metadata) as Record<string, unknown>),
    createdBy: raw.created_by,
    createdAtMs: raw.created_at,
    lastActivityMs: raw.last_activity,
    generation: raw.generation,
  };
}

// A disable deletes the rooms last; a join that read the settings before it must not leave a row behind.
const WEBRTC_IS_ON = 'EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND enabled = 1)';

/** Which SFU holds which room: the row decides. */
export class RoomsRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async get(namespace: string, roomId: string): Promise<RoomRow | null> {
    const [raw] = await this.#db.query<Raw>('SELECT * FROM webrtc_rooms WHERE namespace = ? AND room_id = ?', [
      namespace,
      roomId,
    ]);
    return raw ? fromRaw(raw) : null;
  }

  async listOf(namespace: string): Promise<RoomRow[]> {
    return (
      await this.#db.query<Raw>('SELECT * FROM webrtc_rooms WHERE namespace = ? ORDER BY room_id', [namespace], 'weak')
    ).map(fromRaw);
  }

  /** Rooms held by one node's SFUs, of all namespaces. */
  async listOnNode(nodeId: string): Promise<RoomRow[]> {
    return (
      await this.#db.query<Raw>('SELECT * FROM webrtc_rooms WHERE sfu_node_id = ? ORDER BY namespace, room_id', [
        nodeId,
      ])
    ).map(fromRaw);
  }

  /** Rooms per SFU node of a namespace, for choosing the least loaded. */
  async countByNode(namespace: string): Promise<Map<string, number>> {
    const rows = await this.#db.query<{ sfu_node_id: string; n: number }>(
      'SELECT sfu_node_id, COUNT(*) AS n FROM webrtc_rooms WHERE namespace = ? AND sfu_node_id IS NOT NULL GROUP BY sfu_node_id',
      [namespace],
      'weak',
    );
    return new Map(rows.map((row) => [row.sfu_node_id, row.n]));
  }

  /** Creates a room by its owner's wish, on no SFU yet. False when the room exists, or WebRTC was disabled meanwhile. */
  async create(row: {
    namespace: string;
    roomId: string;
    maxParticipants: number;
    maxSpeakers: number | null;
    spread: boolean;
    metadata: Record<string, unknown> | null;
    nowMs: number;
  }): Promise<boolean> {
    const [result] = await this.#db.batch([
      {
        sql: `INSERT INTO webrtc_rooms (namespace, room_id, max_participants, max_speakers, spread, metadata, created_by, created_at, last_activity)
              SELECT ?, ?, ?, ?, ?, ?, 'api', ?, ? WHERE ${WEBRTC_IS_ON} ON CONFLICT (namespace, room_id) DO NOTHING`,
        params: [
          row.namespace,
          row.roomId,
          row.maxParticipants,
          row.maxSpeakers,
          Number(row.spread),
          row.metadata === null ? null : JSON.stringify(row.metadata),
          row.nowMs,
          row.nowMs,
          row.namespace,
        ],
      },
    ]);
    return (result?.changes ?? 0) > 0;
  }

  /**
   * Claims a room for an SFU in one statement: creates the row, or moves it when it is still at `seenGeneration` (a room
   * without a place, or one whose SFU is gone). Whoever comes second finds the winner's row.
   * @returns the row as it is now, or null when WebRTC was disabled meanwhile
   */
  async claim(options: {
    namespace: string;
    roomId: string;
    place: RoomPlace;
    seenGeneration: number | null;
    nowMs: number;
  }): Promise<RoomRow | null> {
    const { namespace, roomId, place, seenGeneration, nowMs } = options;
    await this.#db.batch([
      {
        sql: `INSERT INTO webrtc_rooms (namespace, room_id, sfu_node_id, sfu_internal_ip, sfu_signaling_port, created_at, last_activity)
              SELECT ?, ?, ?, ?, ?, ?, ? WHERE ${WEBRTC_IS_ON}
              ON CONFLICT (namespace, room_id) DO UPDATE SET
                sfu_node_id = excluded.sfu_node_id, sfu_internal_ip = excluded.sfu_internal_ip, sfu_signaling_port = excluded.sfu_signaling_port,
                last_activity = excluded.last_activity, generation = webrtc_rooms.generation + 1, participant_count = 0
              WHERE webrtc_rooms.generation = ?`,
        params: [
          namespace,
          roomId,
          place.nodeId,
          place.internalIp,
          place.signalingPort,
          nowMs,
          nowMs,
          namespace,
          seenGeneration ?? -1,
        ],
      },
    ]);
    return this.get(namespace, roomId);
  }

  /**
   * Notes that somebody is about to join, so that the room is not removed as idle just then.
   * False when the room is gone or has moved since it was read: look again.
   */
  async touch(row: Pick<RoomRow, 'namespace' | 'roomId' | 'generation'>, nowMs: number): Promise<boolean> {
    const [result] = await this.#db.batch([
      {
        // It moves whatever the clock says: that is what `removeIdle` looks at.
        sql: 'UPDATE webrtc_rooms SET last_activity = MAX(last_activity + 1, ?) WHERE namespace = ? AND room_id = ? AND generation = ?',
        params: [nowMs, row.namespace, row.roomId, row.generation],
      },
    ]);
    return (result?.changes ?? 0) > 0;
  }

  /** What the SFU that holds the room says about it. */
  updateActivity(row: {
    namespace: string;
    roomId: string;
    generation: number;
    participantCount: number;
    lastActivityMs: number;
  }): Statement {
    return {
      sql: 'UPDATE webrtc_rooms SET participant_count = ?, last_activity = MAX(last_activity, ?) WHERE namespace = ? AND room_id = ? AND generation = ?',
      params: [row.participantCount, row.lastActivityMs, row.namespace, row.roomId, row.generation],
    };
  }

  /** Removes a room made by joining that is empty, unless it moved or somebody was about to join since it was read. */
  removeIdle(row: Pick<RoomRow, 'namespace' | 'roomId' | 'generation' | 'lastActivityMs'>): Statement {
    return {
      sql: `DELETE FROM webrtc_rooms
            WHERE namespace = ? AND room_id = ? AND generation = ? AND created_by = 'join' AND participant_count = 0 AND last_activity = ?`,
      params: [row.namespace, row.roomId, row.generation, row.lastActivityMs],
    };
  }

  async remove(namespace: string, roomId: string): Promise<boolean> {
    const [result] = await this.#db.batch([
      { sql: 'DELETE FROM webrtc_rooms WHERE namespace = ? AND room_id = ?', params: [namespace, roomId] },
    ]);
    return (result?.changes ?? 0) > 0;
  }

  /**
   * Takes a node that will never come back out of the rooms of all namespaces, or of one: those made by joining go, the
   * others wait.
   */
  forgetNode(nodeId: string, namespace: string | null = null): Statement[] {
    const where = 'sfu_node_id = ? AND namespace = COALESCE(?, namespace)';
    return [
      { sql: `DELETE FROM webrtc_rooms WHERE ${where} AND created_by = 'join'`, params: [nodeId, namespace] },
      {
        sql: `UPDATE webrtc_rooms SET sfu_node_id = NULL, sfu_internal_ip = NULL, sfu_signaling_port = NULL, participant_count = 0,
                generation = generation + 1 WHERE ${where}`,
        params: [nodeId, namespace],
      },
    ];
  }

  removeOf(namespace: string): Statement {
    return { sql: 'DELETE FROM webrtc_rooms WHERE namespace = ?', params: [namespace] };
  }
}
