import { type Database, guard, type SqlValue, type Statement } from '../database.ts';

export type NodeState = 'active' | 'draining' | 'gone';

/** Health of a node service such as gateway or turn, as the node's controlplane last saw it. */
export interface CoreServiceStatus {
  service: string;
  healthy: boolean;
  reason?: string;
}

/** How busy a node was over the last minutes. */
export interface NodeLoad {
  /** Application data through its TURN server, both ways. */
  relayedBytesPerSec: number;
  /** How late its controlplane's event loop was, the 99th percentile: what the other processes take of the processor. */
  loopDelayMs: number;
}

export interface NodeRow {
  id: string;
  name: string;
  wireguardIp: string;
  publicIp: string;
  /** Null where the node has no second, IPv6, address. */
  publicIp6: string | null;
  /** Its WireGuard interface; null where its controlplane does not keep the peers. */
  wireguard: { publicKey: string; endpoint: string } | null;
  region: string;
  capacity: number;
  version: string;
  state: NodeState;
  core: CoreServiceStatus[];
  load: NodeLoad;
  /** The last heartbeat by the node's own clock; shown only. */
  lastSeenAtMs: number;
  /** Raised by every heartbeat. */
  beats: number;
  /** Whether its heartbeats come: a fact, written by the holder of the lease `liveness`. */
  reachable: boolean;
  /** Since when it is so, by the clock of that holder; shown only. */
  reachableSinceMs: number;
}

interface Raw {
  id: string;
  name: string;
  wireguard_ip: string;
  public_ip: string;
  public_ip6: string | null;
  wireguard_public_key: string | null;
  wireguard_endpoint: string | null;
  region: string;
  capacity: number;
  version: string;
  state: NodeState;
  core_status: string;
  load: string;
  last_seen_at: number;
  beats: number;
  reachable: number;
  reachable_since: number;
}

const NO_LOAD: NodeLoad = { relayedBytesPerSec: 0, loopDelayMs: 0 };

/** The machines of the cluster. */
export class NodesRepository {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async list(): Promise<NodeRow[]> {
    const rows = await this.#db.query<Raw>('SELECT * FROM nodes ORDER BY id');
    return rows.map((raw) => ({
      id: raw.id,
      name: raw.name,
      wireguardIp: raw.wireguard_ip,
      publicIp: raw.public_ip,
      publicIp6: raw.public_ip6,
      wireguard:
        raw.wireguard_public_key !== null && raw.wireguard_endpoint !== null
          ? { publicKey: raw.wireguard_public_key, endpoint: raw.wireguard_endpoint }
          : null,
      region: raw.region,
      capacity: raw.capacity,
      version: raw.version,
      state: raw.state,
      core: JSON.parse(raw.core_status) as CoreServiceStatus[],
      load: { ...NO_LOAD, ...(JSON.parse(raw.load) as Partial<NodeLoad>) },
      lastSeenAtMs: raw.last_seen_at,
      beats: raw.beats,
      reachable: raw.reachable === 1,
      reachableSinceMs: raw.reachable_since,
    }));
  }

  /** Registers a node or refreshes its addresses and version, and is a heartbeat; its state is kept. */
  async register(node: RegisteredNode): Promise<void> {
    const { sql, params } = upsert(node);
    await this.#db.batch([{ sql: `${sql}, beats = nodes.beats + 1`, params }]);
  }

  /** Takes a machine in that is about to start: it takes part, but counts as reachable only once it is heard. */
  enrol(node: RegisteredNode): Statement {
    const { sql, params } = upsert(node);
    return { sql: `${sql}, state = 'active'`, params };
  }

  /** A machine that was removed comes back under another name: its key is no longer that of the row before. */
  releaseWireguardKey(publicKey: string, newId: string): Statement {
    return {
      sql: `UPDATE nodes SET wireguard_public_key = NULL, wireguard_endpoint = NULL
            WHERE wireguard_public_key = ? AND id <> ? AND state = 'gone'`,
      params: [publicKey, newId],
    };
  }

  /** A sign of life with the state of the node's own services. */
  heartbeat(id: string, core: CoreServiceStatus[], nowMs: number): Statement {
    return {
      sql: 'UPDATE nodes SET beats = beats + 1, last_seen_at = ?, core_status = ? WHERE id = ?',
      params: [nowMs, JSON.stringify(core), id],
    };
  }

  setLoad(id: string, load: NodeLoad): Statement {
    return { sql: 'UPDATE nodes SET load = ? WHERE id = ?', params: [JSON.stringify(load), id] };
  }

  /** Lets a node take part, or no longer. */
  setState(id: string, state: NodeState): Statement {
    return { sql: 'UPDATE nodes SET state = ? WHERE id = ?', params: [state, id] };
  }

  /**
   * Writes whether a node is reachable, for the holder of the lease `liveness`. Nothing becomes unreachable that has
   * beaten since it was looked at.
   */
  setReachable({ id, beats }: Pick<NodeRow, 'id' | 'beats'>, reachable: boolean, nowMs: number): Statement {
    const base = 'UPDATE nodes SET reachable = ?, reachable_since = ? WHERE id = ? AND reachable <> ?';
    const params = [Number(reachable), nowMs, id, Number(reachable)];
    return reachable ? { sql: base, params } : { sql: `${base} AND beats = ?`, params: [...params, beats] };
  }
}

/** What a node says of itself. */
type RegisteredNode = Pick<
  NodeRow,
  'id' | 'name' | 'wireguardIp' | 'publicIp' | 'region' | 'version' | 'lastSeenAtMs'
> & {
  publicIp6?: string | undefined;
  wireguard?: NodeRow['wireguard'] | undefined;
};

function upsert(node: RegisteredNode): { sql: string; params: SqlValue[] } {
  const columns = {
    name: node.name,
    wireguard_ip: node.wireguardIp,
    public_ip: node.publicIp,
    public_ip6: node.publicIp6 ?? null,
    wireguard_public_key: node.wireguard?.publicKey ?? null,
    wireguard_endpoint: node.wireguard?.endpoint ?? null,
    region: node.region,
    version: node.version,
    last_seen_at: node.lastSeenAtMs,
  };
  const names = Object.keys(columns);
  return {
    sql: `INSERT INTO nodes (id, ${names.join(', ')}) VALUES (?${', ?'.repeat(names.length)})
          ON CONFLICT (id) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`,
    params: [node.id, ...Object.values(columns)],
  };
}

/** Statements that make a batch fail unless every one of the nodes takes part and is reachable: something is placed there. */
export function guardPlaceable(nodeIds: Iterable<string>): Statement[] {
  return [...new Set(nodeIds)].flatMap((id) =>
    guard(
      `${id} can take something`,
      `EXISTS (SELECT 1 FROM nodes WHERE id = ? AND state = 'active' AND reachable = 1)`,
      [id],
    ),
  );
}
