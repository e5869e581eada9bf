import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '@orama/testkit';
import type { Row } from './scenarios/scenario.ts';

const FILE = join(REPOSITORY, 'docs/media-quality.md');
const INTRODUCTION = `# Media quality

Real Chromium and Firefox, each in a network namespace of its own behind a path that can be made bad, against the product's
own processes: a local cluster with its TURN servers, SFU and gateway. Rates are limited by \`tc tbf\` with 100 ms of queue,
delay and loss come from a small program between two interfaces (test/quality/bed/wire.c). The figures are the browsers' own
(\`getStats\`), and the gaps between the frames they really show (\`requestVideoFrameCallback\`). All of it shares one machine: the
services go before the browsers for the processor, because the browsers of a real call have machines of their own
(test/quality/bed/priority.ts; without that an SFU waited up to 0.1 s for its turn whenever somebody joined).

\`pnpm quality\` measures all of it and writes this file, \`pnpm quality <scenario> ...\` a part, \`--short\` a taste; it needs root.
`;

/** Puts the figures of a scenario into the document, in place of older ones. */
export function writeReport(
  title: string,
  rows: readonly Row[],
  { browsers, short }: { browsers: string; short: boolean },
): void {
  const sections = new Map<string, string>();
  if (existsSync(FILE)) {
    for (const section of readFileSync(FILE, 'utf8').split('\n## ').slice(1)) {
      const [heading = '', ...lines] = section.split('\n');
      sections.set(heading, lines.join('\n').trim());
    }
  }
  const table = rows.map(
    ({ what, mark, measured, passed }) =>
      `| ${what} | ${mark} | ${measured} | ${mark === '' ? '' : passed ? 'yes' : '**no**'} |`,
  );
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  sections.set(
    title,
    [
      '| figure | mark | measured | reached |',
      '|--|--|--|--|',
      ...table,
      '',
      `${date} UTC, ${machine()}, ${browsers}${short ? '. The short form: shorter times, fewer rounds' : ''}.`,
    ].join('\n'),
  );
  const body = [...sections].map(([heading, text]) => `## ${heading}\n\n${text}\n`);
  writeFileSync(FILE, `${INTRODUCTION}\n${body.join('\n')}`);
}

function machine(): string {
  const all = cpus();
  return `${all.length} processors (${all[0]?.model.trim()})`;
}
