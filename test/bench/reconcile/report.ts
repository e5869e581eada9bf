import { percent, table } from '../tables.ts';
import { ACTIVE } from './rows.ts';

/** A controlplane at rest may take less of one core. */
const SHARE_MAX = 0.05;

/** What a controlplane did at rest. */
export interface Measured {
  namespaces: number;
  nodes: number;
  /** Processor time by time. */
  coreShare: number;
  /** Per second: runs of tasks, statements sent to the store, rows it answered with. */
  runs: number;
  statements: number;
  rows: number;
}

/** The report in Markdown. */
export function renderReport(report: { measured: Measured[]; seconds: number; machine: string; date: string }): string {
  const { measured, seconds, machine, date } = report;
  const rows = measured.map(({ namespaces, nodes, coreShare, runs, statements, rows }) => [
    String(namespaces),
    String(nodes),
    percent(coreShare),
    coreShare < SHARE_MAX ? 'held' : '**missed**',
    runs.toFixed(1),
    statements.toFixed(1),
    runs === 0 ? '-' : (statements / runs).toFixed(2),
    rows.toFixed(0),
  ]);
  return `# A controlplane at rest

Made by \`pnpm bench reconcile\` on ${date}: one controlplane with ${ACTIVE} namespaces on its node, looked at for ${seconds} s after it came to rest. All
other namespaces are on nodes that only beat, ${ACTIVE} each. Wanted: less than ${percent(SHARE_MAX)} of one core, and the same work in each run of a
task however many namespaces there are.

Machine: ${machine}. The store is SQLite.

${table(['namespaces', 'nodes', 'of one core', '', 'runs/s', 'statements/s', 'statements a run', 'rows read/s'], rows)}

Rows are read of namespaces that are here, once a minute of all, and of all nodes with each heartbeat: whether they live is for every node to see.`;
}
