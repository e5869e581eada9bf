import { medianOf } from '../samples.ts';
import { table } from '../tables.ts';

export const NAMESPACES_AT_ONCE = 15;
/** What the median may be, in milliseconds. */
const MARKS_MS = { enable: 3_000, disable: 2_000 };

/** What was seen with one store. */
export interface Measured {
  store: string;
  /** Each command alone, from its start to its end. */
  enableMs: number[];
  disableMs: number[];
  /** Until the last of all that were started at once has ended. */
  enableAllMs: number;
  disableAllMs: number;
  /** What was not as before at the end. */
  left: string[];
}

/** The report in Markdown. */
export function renderReport(report: { measured: Measured[]; rounds: number; machine: string; date: string }): string {
  const { measured, rounds, machine, date } = report;
  const alone = measured.flatMap(({ store, enableMs, disableMs }) => [
    row('enable', store, enableMs),
    row('disable', store, disableMs),
  ]);
  const together = measured.map(({ store, enableAllMs, disableAllMs, left }) => [
    store,
    seconds(enableAllMs),
    seconds(disableAllMs),
    left.length === 0 ? 'nothing' : `${left.length} things`,
  ]);
  return `# Enable and disable

Made by \`pnpm bench enable\` on ${date}: ${rounds} times each, one after the other, on a local cluster of three nodes on one machine (3 SFUs and
2 TURN servers a namespace). Times are those of the whole command, from the start of its process to its end.

Machine: ${machine}.

${table(['command', 'store', 'median, s', 'worst, s', 'wanted', ''], alone)}

${NAMESPACES_AT_ONCE} namespaces at once, from as many shells, until the last command has ended; ${3 * NAMESPACES_AT_ONCE} processes of SFUs are started and ended:

${table(['store', 'enabled after, s', 'disabled after, s', 'not as before afterwards'], together)}
${measured.flatMap(({ store, left }) => left.map((line) => `\n- ${store}: ${line}`)).join('')}`.trimEnd();
}

function row(command: 'enable' | 'disable', store: string, values: readonly number[]): string[] {
  const mark = MARKS_MS[command];
  const median = medianOf(values);
  const verdict = median < mark ? 'held' : '**missed**';
  return [command, store, seconds(median), seconds(Math.max(...values)), `median below ${mark / 1000} s`, verdict];
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
