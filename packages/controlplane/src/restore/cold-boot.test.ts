import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failpoints, type Logger, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { StoreUnavailableError } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { Engine } from '../reconcile/engine.ts';
import { StoreWarnings } from '../reconcile/store-warnings.ts';
import type { Task } from '../reconcile/task.ts';
import type { CoreTask } from '../tasks/core-service.ts';
import { coldBoot } from './cold-boot.ts';

let dir: string;
let clock: VirtualClock;
let engine: Engine;
let abort: AbortController;
/** Tasks in the order of their first run. */
let ran: string[];
let lines: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orama-boot-'));
  clock = new VirtualClock();
  abort = new AbortController();
  [ran, lines] = [[], []];
  const warnings = new StoreWarnings(clock, logger);
  engine = new Engine({ clock, logger: silentLogger, failpoints: new Failpoints(), intervalMs: 2_000, warnings });
});
afterEach(async () => {
  abort.abort();
  await engine.stop();
  rmSync(dir, { recursive: true, force: true });
});

const note = (_fields: object, text: string) => lines.push(text);
const logger = { info: note, warn: note, debug: note, error: note } as unknown as Logger;

function task(name: string): Task {
  return {
    name,
    async report() {
      if (!ran.includes(name)) ran.push(name);
      return null;
    },
  };
}

/** A core service that is ready when `becomeReady` is called. */
function coreTask(service: string): CoreTask & { becomeReady: () => void } {
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
  return { ...task(`core:${service}`), ready, becomeReady, status: { service, healthy: false, reason: 'starting' } };
}

/** @param takeUp what the store does to the node that wants to be taken up */
function boot(
  core: readonly CoreTask[],
  file = join(dir, 'store.sqlite'),
  takeUp: () => void = () => {},
): Promise<void> {
  return coldBoot({
    config: testConfig(dir, { store: { driver: 'sqlite', file } }),
    ...{ engine, core, clock, logger, signal: abort.signal, warnings: new StoreWarnings(clock, logger) },
    onStore: async (store) => {
      takeUp();
      abort.signal.addEventListener('abort', () => void store.db.close());
      return { early: [task('heartbeat')], turn: task('turn'), sfu: task('sfu'), late: [task('late')] };
    },
  });
}

test('coldBoot starts core services one after the other, each once the one before is ready, then TURN, then SFUs', async () => {
  const [first, second] = [coreTask('first'), coreTask('second')];
  const done = boot([first, second]);
  await expect.poll(() => ran).toEqual(['core:first', 'heartbeat']);
  first.becomeReady();
  await expect.poll(() => ran).toEqual(['core:first', 'heartbeat', 'core:second']);
  second.becomeReady();
  await done;
  expect(ran).toEqual(['core:first', 'heartbeat', 'core:second', 'turn', 'sfu', 'late']);
});

test('coldBoot goes on without a core service that is not ready in time, and says so', async () => {
  const done = boot([coreTask('first')]);
  await expect.poll(() => ran).toEqual(['core:first', 'heartbeat']);
  clock.advance(20_000);
  await done;
  expect(ran).toEqual(['core:first', 'heartbeat', 'turn', 'sfu', 'late']);
  expect(lines).toContain('core service is not ready yet; going on without it');
});

test('coldBoot tries a store that cannot be reached again and again, with one warning a minute, and restores when it is there', async () => {
  const core = coreTask('first');
  core.becomeReady();
  const blocked = join(dir, 'blocked');
  writeFileSync(blocked, 'not a folder');
  const done = boot([core], join(blocked, 'store.sqlite'));
  const warnings = () => lines.filter((line) => line.startsWith('the store cannot be reached')).length;
  await expect.poll(() => (clock.pending > 0 ? warnings() : 0)).toBe(1);
  const waitSeconds = (seconds: number) =>
    expect.poll(
      () => {
        // A try begins its pause when it has failed.
        if (clock.pending > 0) clock.advance(1_000);
        return clock.monotonic() >= seconds * 1_000;
      },
      { interval: 1, timeout: 10_000 },
    );
  await waitSeconds(58).toBe(true);
  expect(warnings()).toBe(1);
  await waitSeconds(63).toBe(true);
  expect(warnings()).toBe(2);
  expect(ran).toEqual(['core:first']);
  rmSync(blocked);
  mkdirSync(blocked);
  await waitSeconds(66).toBe(true);
  await done;
  expect(ran.slice(1)).toEqual(['heartbeat', 'turn', 'sfu', 'late']);
  expect(lines).toContain('the store can be reached again');
});

test('coldBoot goes on trying when the store is lost between its opening and the first write', async () => {
  const core = coreTask('first');
  core.becomeReady();
  let losses = 2;
  const done = boot([core], undefined, () => {
    if (losses-- > 0) throw new StoreUnavailableError('no leader');
  });
  const retried = expect.poll(
    () => {
      if (clock.pending > 0) clock.advance(1_000);
      return ran.at(-1);
    },
    { interval: 1 },
  );
  await Promise.all([retried.toBe('late'), done]);
  expect(lines).toContain('the store can be reached again');
});

test('coldBoot that is ended while the store is away ends, and runs nothing of it', async () => {
  const blocked = join(dir, 'blocked');
  writeFileSync(blocked, 'not a folder');
  const core = coreTask('first');
  core.becomeReady();
  const done = boot([core], join(blocked, 'store.sqlite'));
  await expect.poll(() => clock.pending).toBeGreaterThan(0);
  abort.abort();
  await done;
  expect(ran).toEqual(['core:first']);
});
