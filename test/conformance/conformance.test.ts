import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeTurn, orama } from './engines/cmd-turn.ts';
import { coturn } from './engines/coturn.ts';
import { judge, type Verdict } from './judge.ts';
import { RULES } from './rules/index.ts';
import { renderTable } from './table.ts';

/** Longest wait for an answer. Ours must answer: only a failure takes so long. The others are known to stay silent. */
const PATIENCE_MS = 10_000;
const NEIGHBOUR_PATIENCE_MS = 3_000;

const results = new Map<string, Map<string, Verdict>>();

beforeAll(async () => {
  results.set(orama.name, await judge(orama, RULES, PATIENCE_MS));
  for (const engine of [nodeTurn, coturn]) {
    results.set(engine.name, await judge(engine, RULES, NEIGHBOUR_PATIENCE_MS));
  }
});

describe('our TURN server', () => {
  test.each(RULES)('$id: $says', ({ id }) => {
    expect(results.get(orama.name)?.get(id)).toEqual({ result: 'pass' });
  });
});

test('docs/conformance.md says what each server does; pnpm conformance writes it anew', () => {
  const written = readFileSync(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8');
  expect(renderTable(results).split('\n')).toEqual(written.split('\n'));
});

test('no two rules have one id', () => {
  expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
});
