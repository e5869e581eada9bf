import { isDeepStrictEqual } from 'node:util';
import { type CoreServiceStatus, raiseChangeCounter } from '@orama/store';
import type { NodeContext } from '../node-context.ts';
import type { Task } from '../reconcile/task.ts';

const HEARTBEAT_MS = 2_000;

/** Tells the cluster that this node is alive, and how its own services are. */
export class HeartbeatTask implements Task {
  readonly name = 'heartbeat';
  readonly #context: NodeContext;
  readonly #status: () => CoreServiceStatus[];
  readonly #register: () => Promise<void>;
  #told: CoreServiceStatus[] | null = null;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: NodeContext, status: () => CoreServiceStatus[], register: () => Promise<void>) {
    this.#context = context;
    this.#status = status;
    this.#register = register;
  }

  async report(): Promise<number | null> {
    const { config, store, clock } = this.#context;
    const status = this.#status();
    const isNews = !isDeepStrictEqual(status.map(strip), this.#told?.map(strip));
    const dueMs = this.#toldAtMs + HEARTBEAT_MS - clock.monotonic();
    if (!isNews && dueMs > 50) return dueMs;
    const beat = store.nodes.heartbeat(config.node, status, clock.now());
    const [result] = await store.db.batch(isNews ? [beat, raiseChangeCounter] : [beat]);
    // A store that was restored from a backup may not know this node yet.
    if (result?.changes === 0) await this.#register();
    this.#told = status;
    this.#toldAtMs = clock.monotonic();
    return HEARTBEAT_MS;
  }
}

/** Reasons change with every look; only health is news. */
function strip({ service, healthy }: CoreServiceStatus) {
  return { service, healthy };
}
