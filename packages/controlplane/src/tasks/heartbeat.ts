import { isDeepStrictEqual } from 'node:util';
import { type CoreServiceStatus, guardLease, type NodeRow, raiseChangeCounter, StoreConflictError } from '@orama/store';
import type { NodeContext } from '../node-context.ts';
import type { Liveness } from '../reconcile/liveness.ts';
import type { Task } from '../reconcile/task.ts';

const HEARTBEAT_MS = 1_000;

/**
 * Tells the cluster that this node lives, how its own services are, and that it holds its leases, in one write. Then it
 * looks whether the others live; the holder of the lease `liveness` writes that down for everybody.
 */
export class HeartbeatTask implements Task {
  readonly name = 'heartbeat';
  readonly #context: NodeContext;
  readonly #status: () => CoreServiceStatus[];
  readonly #register: () => Promise<void>;
  readonly #liveness: Liveness;
  #told: CoreServiceStatus[] | null = null;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    context: NodeContext,
    liveness: Liveness,
    status: () => CoreServiceStatus[],
    register: () => Promise<void>,
  ) {
    this.#context = context;
    this.#status = status;
    this.#register = register;
    this.#liveness = liveness;
  }

  async report(): Promise<number | null> {
    const { clock } = this.#context;
    const status = this.#status();
    const isNews = !isDeepStrictEqual(status.map(strip), this.#told?.map(strip));
    const dueMs = this.#toldAtMs + HEARTBEAT_MS - clock.monotonic();
    if (!isNews && dueMs > 50) return dueMs;
    const beganAtMs = clock.monotonic();
    await this.#beat(status, isNews);
    this.#told = status;
    this.#toldAtMs = beganAtMs;
    await this.#lookAround();
    return Math.max(0, beganAtMs + HEARTBEAT_MS - clock.monotonic());
  }

  async #beat(status: CoreServiceStatus[], isNews: boolean): Promise<void> {
    const { config, store, clock, leases, load } = this.#context;
    // Asked for before the round, so that the first one takes it where it is free.
    leases.held('liveness');
    const beat = store.nodes.heartbeat(config.node, status, clock.now());
    const busy = load.next();
    const statements = busy ? [beat, store.nodes.setLoad(config.node, busy)] : [beat];
    const [result] = await leases.round(isNews ? [...statements, raiseChangeCounter] : statements);
    // A store that was restored from a backup may not know this node yet.
    if (result?.changes === 0) await this.#register();
  }

  async #lookAround(): Promise<void> {
    const { config, store, clock, leases, logger } = this.#context;
    const askedAtMs = clock.monotonic();
    const nodes = await store.nodes.list();
    await leases.takePart(nodes.find(({ id }) => id === config.node)?.state !== 'gone');
    const changes = this.#liveness.look(nodes, askedAtMs, clock.monotonic());
    const lease = leases.held('liveness');
    if (!lease || changes.length === 0) return;
    try {
      const written = changes.map(({ node, reachable }) => store.nodes.setReachable(node, reachable, clock.now()));
      await store.db.batch([...guardLease(lease), ...written, raiseChangeCounter]);
    } catch (thrown) {
      if (thrown instanceof StoreConflictError) leases.lost('liveness');
      throw thrown;
    }
    for (const { node, reachable } of changes) logChange(logger, node, reachable);
  }
}

function logChange(logger: NodeContext['logger'], { id }: NodeRow, reachable: boolean): void {
  if (reachable) logger.info({ subject: id }, 'the node is reachable');
  else logger.warn({ subject: id, reason: 'its heartbeats stay away' }, 'the node is unreachable');
}

/** Reasons change with every look; only health is news. */
function strip({ service, healthy }: CoreServiceStatus) {
  return { service, healthy };
}
