import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HeldUnits } from './held-units.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'held-'));
  writeFileSync(join(dir, 'boot'), 'the first run\n');
});
afterEach(() => rmSync(dir, { recursive: true }));

const path = () => join(dir, 'run', 'held.json');

async function load(): Promise<HeldUnits> {
  const held = new HeldUnits(path(), join(dir, 'boot'));
  await held.load();
  return held;
}

test('what is held is held by the next controlplane too, until it is released', async () => {
  const first = await load();
  expect(first.has('orama-turn')).toBe(false);
  await first.hold('orama-turn');
  await first.hold('orama-gateway');
  const second = await load();
  expect([second.has('orama-turn'), second.has('orama-gateway')]).toEqual([true, true]);
  await second.release('orama-turn');
  expect(second.has('orama-turn')).toBe(false);
  const third = await load();
  expect([third.has('orama-turn'), third.has('orama-gateway')]).toEqual([false, true]);
});

test('a machine that was rebooted holds nothing, and neither does a broken file', async () => {
  await (await load()).hold('orama-turn');
  writeFileSync(join(dir, 'boot'), 'the second run\n');
  expect((await load()).has('orama-turn')).toBe(false);
  writeFileSync(join(dir, 'boot'), 'the first run\n');
  expect((await load()).has('orama-turn')).toBe(true);
  writeFileSync(path(), '{"bootId":');
  expect((await load()).has('orama-turn')).toBe(false);
});
