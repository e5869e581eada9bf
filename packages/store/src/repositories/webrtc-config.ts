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
  /** Takes over once every TURN server knows it; null unless a rotation has just begun. */
  nextTurnSharedSecret: string | null;
  /** Of before the last rotation; stays after its end of life, for calls made with it. Null revokes it. */
  previousTurnSharedSecret: string | null;
  /** When it makes no allocation any more. */
  previousSecretExpiresAtMs: number | null;
  /** Those before it, newest first, for calls made with them. */
  retiredTurnSharedSecrets: string[];
  turnCredentialTtlSec: number;
  sfuNodeCount: number;
  turnNodeCount: number;
  enabledBy: string;
  enabledAtMs: number;
  disabledAtMs: number | null;
  /** Raised by every change of settings. */
  generation: number;
}

interface Raw {
  namespace: string;
  state: WebrtcState;
  turn_shared_secret: string;
  next_turn_shared_secret: string | null;
  previous_turn_shared_secret: string | null;
  previous_secret_expires_at: number | null;
  retired_turn_shared_secrets: string;
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
}

const fromRaw = (raw: Raw): WebrtcConfigRow => ({
  namespace: raw.namespace,
  state: raw.state,
  turnSharedSecret: raw.turn_shared_secret,
  nextTurnSharedSecret: raw.next_turn_shared_secret,
  previousTurnSharedSecret: raw.previous_turn_shared_secret,
  previousSecretExpiresAtMs: raw.previous_secret_expires_at,
  retiredTurnSharedSecrets: JSON.parse(raw.retired_turn_shared_secrets) as string[],
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
});

const turnParams = (turn: TurnSettings) => [
  turn.peerPolicy,
  turn.maxAllocations,
  turn.maxAllocationsPerUsername,
  turn.bytesPerSec,
  turn.allocationBytesPerSec,
];

/** Former secrets that a TURN server keeps for calls made with them, the one before the current included. */
export const RETIRED_SECRETS_MAX = 4;

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
               max_allocations_per_username, bytes_per_sec, allocation_bytes_per_sec, enabled_by, enabled_at, generation)
            VALUES (?, 'enabling', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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

  /**
   * Begins a rotation with the next generation. A former secret that is valid still makes no allocation from `nowMs` on:
   * a TURN server has two valid ones at most.
   */
  announceSecret(namespace: string, generation: number, nextTurnSharedSecret: string, nowMs: number): Statement {
    return {
      sql: `UPDATE namespace_webrtc_config SET next_turn_shared_secret = ?, previous_secret_expires_at = MIN(previous_secret_expires_at, ?),
              generation = ? WHERE namespace = ? AND generation < ? AND state = 'enabled' AND next_turn_shared_secret IS NULL`,
      params: [nextTurnSharedSecret, nowMs, generation, namespace, generation],
    };
  }

  /** Lets the announced secret take over, with the next generation. `row` is what was read before. */
  switchSecret(row: WebrtcConfigRow, generation: number, formerExpiresAtMs: number): Statement {
    const retired = [row.previousTurnSharedSecret, ...row.retiredTurnSharedSecrets].filter((each) => each !== null);
    return {
      sql: `UPDATE namespace_webrtc_config SET previous_turn_shared_secret = turn_shared_secret, turn_shared_secret = next_turn_shared_secret,
              next_turn_shared_secret = NULL, previous_secret_expires_at = ?, retired_turn_shared_secrets = ?, generation = ?
            WHERE namespace = ? AND generation = ? AND state = 'enabled' AND next_turn_shared_secret IS NOT NULL`,
      params: [
        formerExpiresAtMs,
        JSON.stringify(retired.slice(0, RETIRED_SECRETS_MAX - 1)),
        generation,
        row.namespace,
        row.generation,
      ],
    };
  }

  /** Ends a rotation: from here on nobody makes credentials of the former secret. */
  setFormerSecretEnd(namespace: string, formerExpiresAtMs: number): Statement {
    return {
      sql: `UPDATE namespace_webrtc_config SET previous_secret_expires_at = ? WHERE namespace = ? AND next_turn_shared_secret IS NULL`,
      params: [formerExpiresAtMs, namespace],
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
