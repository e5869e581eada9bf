import { createServer, type Server } from 'node:http';
import { type Clock, closeServer, listen, VirtualClock } from '@orama/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Watchdog } from './watchdog.ts';

const HEALTH = { address: '127.92.10.1', port: 30_000 };
/** Long enough for an answer on a busy machine, of a server that answers; one that is not there refuses at once. */
const EVERY_MS = 2_000;
const unit = { unit: 'one', health: HEALTH };
let clock: VirtualClock;
let server: Server;
let asked: number;
let answers: boolean;
let told: string[];
let heldUpMs: number;
let watchdog: Watchdog<{ unit: string; health: typeof HEALTH }>;

beforeEach(async () => {
  clock = new VirtualClock(0);
  [asked, answers, told, heldUpMs] = [0, true, [], 0];
  server = createServer((_, response) => {
    asked += 1;
    if (answers) response.writeHead(503).end();
    else response.destroy();
  });
  await listen(server, HEALTH);
  const late: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic() + heldUpMs,
    after: (ms, run) => clock.after(ms, run),
    every: (ms, run) => clock.every(ms, run),
  };
  watchdog = new Watchdog(
    late,
    EVERY_MS,
    () => [unit],
    () => told.push('one'),
  );
});
afterEach(async () => {
  watchdog.close();
  await closeServer(server);
});

/** Lets it ask so many times. It asks nothing before it has heard of the last one, so all but that were heard for certain. */
async function look(times: number): Promise<void> {
  const end = asked + times;
  const next = () => {
    if (asked < end) clock.advance(EVERY_MS);
    return asked;
  };
  await expect.poll(next, { interval: 1 }).toBe(end);
}

test('Watchdog tells of a unit that answered before and does not four times in a row, once; any answer will do', async () => {
  await look(3);
  answers = false;
  await look(3);
  answers = true;
  await look(1);
  answers = false;
  await look(3);
  expect(told).toEqual([]);
  await look(1);
  await expect.poll(() => told).toEqual(['one']);
  await look(5);
  expect(told).toEqual(['one']);
});

test('Watchdog gives a unit that never answered fifteen looks', async () => {
  answers = false;
  await look(14);
  expect(told).toEqual([]);
  await look(1);
  await expect.poll(() => told).toEqual(['one']);
});

test('Watchdog begins anew when it was held up itself', async () => {
  await look(1);
  answers = false;
  await look(3);
  // Nobody's timer ran meanwhile.
  heldUpMs = 10 * EVERY_MS;
  await look(2);
  expect(told).toEqual([]);
});
