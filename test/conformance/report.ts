// `pnpm conformance`: tries every rule at every engine, prints the table and writes docs/conformance.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine, refuse } from '../support/command-line.ts';
import { nodeTurn, orama } from './engines/cmd-turn.ts';
import { coturn } from './engines/coturn.ts';
import { judge } from './judge.ts';
import { RULES } from './rules/index.ts';
import { failureLines, renderTable } from './table.ts';

const USAGE = 'usage: pnpm conformance, which takes a few minutes and writes docs/conformance.md anew';
const PATIENCE_MS = 2_000;

if (readCommandLine(USAGE, {}).positionals.length > 0) refuse(USAGE, 'it takes no arguments');

const results = new Map();
for (const engine of [orama, nodeTurn, coturn]) results.set(engine.name, await judge(engine, RULES, PATIENCE_MS));
const table = renderTable(results);
writeFileSync(join(import.meta.dirname, '../../docs/conformance.md'), table);
console.log(table);
for (const line of failureLines(results)) console.log(line);
