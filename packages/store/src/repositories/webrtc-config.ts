import type { Database, Statement } from '../database.ts';

export type WebrtcState = 'enabling' | 'enabled' | 'disabling';

/** What a namespace may ask of its TURN servers. */
export interface TurnSettings {
  /** `sfu`: its own SFUs and nothing else; `public`: public peers as well, for mesh calls. */
  peerPolicy: 'sfu' | 'public';
  /** On each TURN node. */
  maxAllocations: number;
  maxAllocationsPerUsername: number;
  /** Bytes a second on each TURN node, both directions together; null: no limit. */
  bytesPerSec: number | null;
  allocationBytesPerSec: number | null;
}

/** A namespace's WebRTC settings; the row exists from enable until disable is done. */
export interface WebrtcConfigRow extends TurnSettings {
  namespace: string;
  state: WebrtcState;
  /** Sealed with core's SecretBox (purpose `turn-secret`, context the namespace). */
  turnSharedSecret: string;
  /** Of before the last rotation; stays after its end of life, for calls made with it. Null revokes it. */
  previousTurnSharedSecret: string | null;
  /** When it makes no allocation any more. */
  previousSecretExpiresAtMs: number | null;
  turnCredentialTtlSec: number;
  sfuNodeCount: number;
  turnNodeCount: number;
  enabledBy: string;
  enabledAtMs: number;
  disabledAtMs: number | null;
  /** Raised by every change of settings. */
  generation: number;
  /** Generation of the settings that SFUs read; they restart when it changes. */
  sfuGeneration: number;
}

interface Raw {
  namespace: string;
  state: WebrtcState;
  turn_shared_secret: string;
  previous_turn_shared_secret: string | null;
  previous_secret_expires_at: number | null;
  turn_credential_ttl: number;
  sfu_node_count: number;
  turn_node_count: number;
  peer_policy: 'sfu' | 'public';
  max_allocations: number;
  max_allocations_per_username: number;
  bytes_per_sec: number | null;
  allocation_bytes_per_sec: number | null;
  enabled_by: string;
  enabled_at: number;
  disabled_at: number | null;
  generation: number;
  sfu_generation: number;
}

const fromRaw = (raw: Raw): WebrtcConfigRow => ({
  namespace: raw.namespace,
  state: raw.state,
  turnSharedSecret: raw.turn_shared_secret,
  previousTurnSharedSecret: raw.previous_turn_shared_secret,
  previousSecretExpiresAtMs: raw.previous_secret_expires_at,
  turnCredentialTtlSec: raw.turn_credential_ttl,
  sfuNodeCount: raw.sfu_node_count,
  turnNodeCount: raw.turn_node_count,
  peerPolicy: raw.peer_policy,
  maxAllocations: raw.max_allocations,
  maxAllocationsPerUsername: raw.max_allocations_per_username,
  bytesPerSec: raw.bytes_per_sec,
  allocationBytesPerSec: raw.allocation_bytes_per_sec,
  enabledBy: raw.enabled_by,
  enabledAtMs: raw.enabled_at,
  disabledAtMs: raw.disabled_at,
  generation: raw.generation,
  sfuGeneration: raw.sfu_generation,
});

const turnParams = (turn: TurnSettings) => [
  turn.peerPolicy,
  turn.maxAllocations,
  turn.maxAllocationsPerUsername,
  turn.bytesPerSec,
  turn.allocationBytesPerSec,
];

/** Purpose of the SecretBox that seals TURN secrets. */
export const TURN_SECRET_PURPOSE = 'turn-secret';

/** Desired WebRTC state of namespaces. */
export class WebrtcConfigRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<WebrtcConfigRow[]> {
    return (await this.#db.query<Raw>('SELECT * FROM namespace_webrtc_config ORDER BY namespace')).map(fromRaw);
  }

  async get(namespace: string): Promise<WebrtcConfigRow | null> {
    const [raw] = await this.#db.query<Raw>('SELECT * FROM namespace_webrtc_config WHERE namespace = ?', [namespace]);
    return raw ? fromRaw(raw) : null;
  }

  /** Begins an enable. Fails the batch when the namespace has a row already. */
  insert(row: {
    namespace: string;
    turnSharedSecret: string;
    turnCredentialTtlSec: number;
    sfuNodeCount: number;
    turnNodeCount: number;
    turn: TurnSettings;
    enabledBy: string;
    enabledAtMs: number;
    generation: number;
  }): Statement {
    return {
      sql: `INSERT INTO namespace_webrtc_config
              (namespace, state, turn_shared_secret, turn_credential_ttl, sfu_node_count, turn_node_count, peer_policy, max_allocations,
               max_allocations_per_username, bytes_per_sec, allocation_bytes_per_sec, enabled_by, enabled_at, generation, sfu_generation)
            VALUES (?, 'enabling', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      params: [
        row.namespace,
        row.turnSharedSecret,
        row.turnCredentialTtlSec,
        row.sfuNodeCount,
        row.turnNodeCount,
        ...turnParams(row.turn),
        row.enabledBy,
        row.enabledAtMs,
        row.generation,
        row.generation,
      ],
    };
  }

  /** Gives an enabled namespace other TURN settings and the next generation; its SFUs run on. */
  setTurn(namespace: string, generation: number, turn: TurnSettings): Statement {
    return {
      sql: `UPDATE namespace_webrtc_config SET peer_policy = ?, max_allocations = ?, max_allocations_per_username = ?, bytes_per_sec = ?,
              allocation_bytes_per_sec = ?, generation = ? WHERE namespace = ? AND generation < ? AND state = 'enabled'`,
      params: [...turnParams(turn), generation, namespace, generation],
    };
  }

  /** enabling → enabled, for the generation that was observed. */
  markEnabled(namespace: string, generation: number): Statement {
    return {
      sql: `UPDATE namespace_webrtc_config SET state = 'enabled' WHERE namespace = ? AND generation = ? AND state = 'enabling'`,
      params: [namespace, generation],
    };
  }

  /** Begins a disable: from here on nothing of the namespace is desired. */
  markDisabling(namespace: string, generation: number, nowMs: number): Statement {
    return {
      sql: `UPDATE namespace_webrtc_config SET state = 'disabling', enabled = 0, disabled_at = ?
            WHERE namespace = ? AND generation = ? AND state IN ('enabling', 'enabled')`,
      params: [nowMs, namespace, generation],
    };
  }

  /** Ends a disable. */
  remove(namespace: string, generation: number): Statement {
    return {
      sql: `DELETE FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND state = 'disabling'`,
      params: [namespace, generation],
    };
  }
}
