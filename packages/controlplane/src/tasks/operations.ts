import {
  auditStatement,
  guard,
  type OperationRow,
  raiseChangeCounter,
  type Statement,
  StoreConflictError,
} from '@orama/store';
import type { NodeContext } from '../node-context.ts';
import { progressOf, type StepProgress, stepTargets } from '../operations/progress.ts';
import type { Task } from '../reconcile/task.ts';

/**
 * Follows the running operations: writes how far their steps are, and ends them. Every node does this; each write is
 * conditional, so that it does not matter who comes first.
 */
export class OperationsTask implements Task {
  readonly name = 'operations';
  readonly #context: NodeContext;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  async report(): Promise<number | null> {
    const { store, clock } = this.#context;
    const running = await store.operations.listRunning();
    if (running.length === 0) return null;
    const nodes = await store.nodes.list();
    for (const operation of running) {
      const now = clock.now();
      const targets = stepTargets(await store.ports.listOf(operation.namespace));
      const reports = await store.reports.listOf(operation.namespace);
      const progress = progressOf(operation, targets, reports, nodes);
      await this.#writeProgress(operation, progress, now);
      if (progress.every((step) => step.state === 'done')) await this.#finish(operation, now);
    }
    return null;
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

  async #finish(operation: OperationRow, nowMs: number): Promise<void> {
    const { store, failpoints, logger } = this.#context;
    const { id, namespace, generation } = operation;
    const enabling = operation.kind === 'enable-webrtc';
    const verb = enabling ? 'enable' : 'disable';
    failpoints.hit(`${verb}:finish:before`);
    const stillSo = [
      ...guard('operation runs', `EXISTS (SELECT 1 FROM operations WHERE id = ? AND state = 'running')`, [id]),
      ...guard(
        'settings unchanged',
        'EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND state = ?)',
        [namespace, generation, enabling ? 'enabling' : 'disabling'],
      ),
    ];
    const outcome = enabling
      ? [store.webrtc.markEnabled(namespace, generation)]
      : [
          ...store.dns.replaceOf(namespace, []),
          store.rooms.removeOf(namespace),
          store.reports.removeOf(namespace),
          store.ports.removeOf(namespace),
          store.webrtc.remove(namespace, generation),
        ];
    try {
      await store.db.batch([
        ...stillSo,
        ...outcome,
        store.operations.finish(id, 'done', nowMs),
        auditStatement({
          atMs: nowMs,
          actor: operation.requestedBy,
          action: operation.kind,
          namespace,
          result: 'done',
        }),
        raiseChangeCounter,
      ]);
      logger.info({ ns: namespace, op: operation.kind, durMs: nowMs - operation.createdAtMs }, 'operation done');
    } catch (thrown) {
      // Another node ended it first, or a disable took over.
      if (!(thrown instanceof StoreConflictError)) throw thrown;
    }
    failpoints.hit(`${verb}:finish:after`);
  }
}
