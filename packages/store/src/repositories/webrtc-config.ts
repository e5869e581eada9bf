import type { Database, Statement } from '../database.ts';

export type WebrtcState = 'enabling' | 'enabled' | 'disabling';

/** A namespace's WebRTC settings; the row exists from enable until disable is done. */
export interface WebrtcConfigRow {
  namespace: string;
  state: WebrtcState;
  /** Sealed with core's SecretBox (purpose `turn-secret`, context the namespace). */
  turnSharedSecret: string;
  previousTurnSharedSecret: string | null;
  previousSecretExpiresAtMs: number | null;
  turnCredentialTtlSec: number;
  sfuNodeCount: number;
  turnNodeCount: number;
  peerPolicy: 'sfu' | 'public';
  maxAllocations: number;
  enabledBy: string;
  enabledAtMs: number;
  disabledAtMs: number | null;
  generation: number;
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
  enabled_by: string;
  enabled_at: number;
  disabled_at: number | null;
  generation: number;
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
  enabledBy: raw.enabled_by,
  enabledAtMs: raw.enabled_at,
  disabledAtMs: raw.disabled_at,
  generation: raw.generation,
});

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
    enabledBy: string;
    enabledAtMs: number;
    generation: number;
  }): Statement {
    return {
      sql: `INSERT INTO namespace_webrtc_config
              (namespace, state, turn_shared_secret, turn_credential_ttl, sfu_node_count, turn_node_count, enabled_by, enabled_at, generation)
            VALUES (?, 'enabling', ?, ?, ?, ?, ?, ?, ?)`,
      params: [
        row.namespace,
        row.turnSharedSecret,
        row.turnCredentialTtlSec,
        row.sfuNodeCount,
        row.turnNodeCount,
        row.enabledBy,
        row.enabledAtMs,
        row.generation,
      ],
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
