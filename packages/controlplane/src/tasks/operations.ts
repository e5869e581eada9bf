import {
  auditStatement,
  guard,
  type NodeRow,
  type OperationKind,
  type OperationRow,
  raiseChangeCounter,
  type Statement,
  StoreConflictError,
} from '@orama/store';
import type { NodeContext } from '../node-context.ts';
import { type Advance, advanceOf } from '../operations/advance.ts';
import { advanceDrain } from '../operations/drain-progress.ts';
import { progressOf, type StepProgress, stepTargets } from '../operations/progress.ts';
import type { Task } from '../reconcile/task.ts';

/** A word for the crash points of an operation's end. */
const VERBS: Record<OperationKind, string> = {
  'enable-webrtc': 'enable',
  'disable-webrtc': 'disable',
  'rotate-secret': 'rotate',
  'drain-node': 'drain',
};

type OperationsContext = Pick<NodeContext, 'store' | 'clock' | 'logger' | 'failpoints'>;

/**
 * Follows the running operations: writes how far their steps are, takes them further, and ends them. Every node does
 * this; each write is conditional, so that it does not matter who comes first.
 */
export class OperationsTask implements Task {
  readonly name = 'operations';
  readonly #context: OperationsContext;

  constructor(context: OperationsContext) {
    this.#context = context;
  }

  async report(): Promise<number | null> {
    const { store, clock } = this.#context;
    const running = await store.operations.listRunning('weak');
    if (running.length === 0) return null;
    const nodes = await store.nodes.list();
    for (const operation of running) {
      const now = clock.now();
      const advance = await this.#advanceOf(operation, nodes, now);
      await this.#writeProgress(operation, advance.progress, now);
      if (advance.next) await this.#take(operation, advance.next, now);
    }
    return null;
  }

  async #advanceOf(operation: OperationRow, nodes: readonly NodeRow[], nowMs: number): Promise<Advance> {
    const { store } = this.#context;
    const { namespace, nodeId } = operation;
    if (namespace === null) {
      const blocks = (await store.ports.listTaken()).filter((row) => row.nodeId === nodeId);
      return advanceDrain(operation, blocks, await store.reports.list(), nodes);
    }
    const settings = await store.webrtc.get(namespace);
    // A disable has to wait for what was moved away, too.
    const isDisable = operation.kind === 'disable-webrtc';
    const blocks = await (isDisable ? store.ports.listTakenBy(namespace) : store.ports.listOf(namespace));
    const reports = await store.reports.listOf(namespace);
    const progress = progressOf(operation, stepTargets(blocks), reports, nodes);
    return advanceOf(store, { ...operation, namespace }, settings, progress, nowMs);
  }

  async #writeProgress(operation: OperationRow, progress: readonly StepProgress[], nowMs: number): Promise<void> {
    const { store } = this.#context;
    const statements = progress.flatMap(({ name, state, detail }): Statement[] => {
      const step = operation.steps.find((one) => one.name === name);
      if (!step || step.finishedAtMs !== null || (step.state === state && step.detail === detail)) return [];
      return [store.operations.updateStep(operation.id, name, state, detail, nowMs)];
    });
    if (statements.length > 0) await store.db.batch(statements);
  }

  async #take(operation: OperationRow, next: NonNullable<Advance['next']>, nowMs: number): Promise<void> {
    const { store, failpoints, logger } = this.#context;
    const { id, namespace, kind } = operation;
    const point = `${VERBS[kind]}:${next.ends ? 'finish' : 'switch'}`;
    failpoints.hit(`${point}:before`);
    const entry = {
      atMs: nowMs,
      actor: operation.requestedBy,
      action: kind,
      namespace,
      result: operation.nodeId ?? 'done',
    };
    try {
      await store.db.batch([
        ...guard('operation runs', `EXISTS (SELECT 1 FROM operations WHERE id = ? AND state = 'running')`, [id]),
        ...next.statements,
        ...(next.ends ? [store.operations.finish(id, 'done', nowMs), auditStatement(entry)] : []),
        raiseChangeCounter,
      ]);
      if (next.ends)
        logger.info(
          {
            ns: namespace ?? undefined,
            subject: operation.nodeId ?? undefined,
            op: kind,
            durMs: nowMs - operation.createdAtMs,
          },
          'operation done',
        );
    } catch (thrown) {
      // Another node was first, or a disable took over.
      if (!(thrown instanceof StoreConflictError)) throw thrown;
    }
    failpoints.hit(`${point}:after`);
  }
}
