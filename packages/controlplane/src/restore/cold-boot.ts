import { type Clock, describeError, type Logger } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { createStore, type Database, openStore, type Store, StoreUnavailableError } from '@orama/store';
import { nodePaths } from '../node-context.ts';
import type { Engine } from '../reconcile/engine.ts';
import type { StoreWarnings } from '../reconcile/store-warnings.ts';
import type { Task } from '../reconcile/task.ts';
import type { CoreTask } from '../tasks/core-service.ts';
import { readStateFiles } from './state-file.ts';

/** A core service that is not ready by then no longer holds up what does not need it. */
const CORE_PATIENCE_MS = 20_000;
const STORE_RETRY_MS = 1_000;

export interface ColdBoot {
  config: ControlplaneConfig;
  engine: Engine;
  /** In the order in which they are started. */
  core: readonly CoreTask[];
  clock: Clock;
  logger: Logger;
  warnings: StoreWarnings;
  signal: AbortSignal;
  /**
   * Called once the store is there, and again with another connection when it throws StoreUnavailableError; gives the tasks
   * in the order of their first run.
   */
  onStore: (store: Store) => Promise<BootTasks>;
}

interface BootTasks {
  early: Task[];
  turn: Task;
  sfu: Task;
  late: Task[];
}

/**
 * Brings a node up, whether it is new or all of it was killed: core services one after the other, each waited for by its
 * readiness probe, and meanwhile the store; then the tenants of TURN, then the SFUs, then everything else. From there on
 * it is the reconcile engine's ordinary work.
 */
export async function coldBoot(boot: ColdBoot): Promise<void> {
  const { engine, clock, logger } = boot;
  const startedAt = clock.monotonic();
  await reportStateFiles(boot);
  const core = startCore(boot);
  const tasks = await reachStore(boot);
  if (!tasks) return;
  for (const task of tasks.early) await engine.add(task);
  await core;
  await engine.add(tasks.turn);
  await engine.add(tasks.sfu);
  await Promise.all(tasks.late.map((task) => engine.add(task)));
  logger.info({ durMs: clock.monotonic() - startedAt }, 'node restored');
}

async function startCore({ core, engine, clock, logger, signal }: ColdBoot): Promise<void> {
  for (const task of core) {
    if (signal.aborted) return;
    await engine.add(task);
    const patience = Promise.withResolvers<void>();
    const timer = clock.after(CORE_PATIENCE_MS, () => {
      logger.warn({ op: task.name, reason: task.status.reason }, 'core service is not ready yet; going on without it');
      patience.resolve();
    });
    signal.addEventListener('abort', () => patience.resolve(), { once: true });
    await Promise.race([task.ready, patience.promise]);
    timer.cancel();
  }
}

/** Opens the store, trying until it can be reached and takes the node up; null when the node is stopped meanwhile. */
async function reachStore({ config, clock, warnings, signal, onStore }: ColdBoot): Promise<BootTasks | null> {
  let db: Database | undefined;
  while (!signal.aborted) {
    try {
      db = await openStore(config.store);
      if (signal.aborted) break;
      const tasks = await onStore(createStore(db));
      warnings.reached();
      return tasks;
    } catch (thrown) {
      await db?.close();
      db = undefined;
      if (!(thrown instanceof StoreUnavailableError)) throw thrown;
      warnings.unreachable(thrown);
      const pause = Promise.withResolvers<void>();
      const goOn = () => pause.resolve();
      const timer = clock.after(STORE_RETRY_MS, goOn);
      signal.addEventListener('abort', goOn, { once: true });
      await pause.promise;
      timer.cancel();
      signal.removeEventListener('abort', goOn);
    }
  }
  await db?.close();
  return null;
}

/** Says what this node held when it last ran. The store decides; a file only tells the operator what to expect. */
async function reportStateFiles({ config, logger }: ColdBoot): Promise<void> {
  try {
    for (const file of await readStateFiles(nodePaths(config.dataDir).namespaces)) {
      if (file.state === null) {
        logger.warn({ ns: file.namespace, reason: file.problem }, 'state file is unusable and will be repaired');
      } else if (file.state.cluster_id !== config.clusterId) {
        logger.warn({ ns: file.namespace, reason: 'another cluster' }, 'state file is foreign and will be repaired');
      } else {
        const { has_turn, has_sfu, generation } = file.state;
        logger.info({ ns: file.namespace, has_turn, has_sfu, generation }, 'namespace was here before');
      }
    }
  } catch (thrown) {
    logger.warn({ reason: describeError(thrown) }, 'state files cannot be read');
  }
}
