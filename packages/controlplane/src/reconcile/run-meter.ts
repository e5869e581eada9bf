import { Counter, Histogram, type Registry } from '@orama/core/metrics';
import type { TaskRunner } from './engine.ts';

/** Counts the runs of reconcile tasks for `/metrics`: gives what is called after each. */
export function runMeter(metrics: Registry): (runner: TaskRunner) => void {
  const registers = [metrics];
  const runs = new Counter({
    name: 'orama_reconcile_runs_total',
    help: 'Runs of a reconcile task',
    labelNames: ['task', 'result'],
    registers,
  });
  const actions = new Counter({
    name: 'orama_reconcile_actions_total',
    help: 'Actions that a reconcile task applied',
    labelNames: ['task'],
    registers,
  });
  const duration = new Histogram({
    name: 'orama_reconcile_run_seconds',
    help: 'Duration of a run',
    labelNames: ['task'],
    registers,
  });
  return ({ task, last }) => {
    if (!last) return;
    runs.inc({ task: task.name, result: last.ok ? 'ok' : 'failed' });
    actions.inc({ task: task.name }, last.applied.length);
    duration.observe({ task: task.name }, last.durMs / 1000);
  };
}
