import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '@orama/testkit';
import type { Outcome } from './round.ts';

const FILE = join(REPOSITORY, 'docs/reliability.md');
const INTRODUCTION = `# Reliability

What a cluster of three nodes does when something happens to it, as \`pnpm test:chaos --report\` saw it: real rqlited, TURN servers and
SFUs, each node in a network namespace of its own, two calls that send and check numbered packets, and two operators who enable,
disable and rotate meanwhile. All times are seconds from the beginning of the fault, median and worst. "Without media" is the longest
time in which one side of a call heard nothing: from half a second after the last packet until all hear each other again. A client joins
anew after 2 s of silence, by the next node, and gives a join 6 s. "Settled" counts from the end of the fault: until every service,
record, file and row is as it should be.
`;

/** Writes the table of recovery times. */
export function writeReport(outcomes: readonly Outcome[], seeds: number): void {
  const kinds = Map.groupBy(outcomes, ({ fault }) => fault.kind);
  const rows = [...kinds]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, all]) => {
      const cells = [
        all.map(({ detectedMs }) => detectedMs),
        all.map(({ movedMs }) => movedMs),
        all.map(({ silentMs }) => silentMs),
        all.map(({ restMs }) => restMs),
      ].map(spread);
      return `| ${[kind, all.length, ...cells].join(' | ')} |`;
    });
  const date = new Date().toISOString().slice(0, 10);
  const text = [
    INTRODUCTION,
    '| fault | times | node taken for unreachable | its records withdrawn | longest without media | settled |',
    '|--|--|--|--|--|--|',
    ...rows,
    '',
    `${date}, ${outcomes.length} faults over ${seeds} seeds, ${cpus().length} processors (${cpus()[0]?.model.trim()}).`,
  ];
  writeFileSync(FILE, `${text.join('\n')}\n`);
}

/** Median and worst of what happened, in seconds; a dash where it never did. */
function spread(times: readonly (number | null)[]): string {
  const sorted = times.filter((time) => time !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return '–';
  const seconds = (ms: number | undefined) => ((ms ?? 0) / 1000).toFixed(1);
  return `${seconds(sorted[sorted.length >> 1])}, ${seconds(sorted.at(-1))}`;
}
