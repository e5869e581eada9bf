import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { afterEach, expect, test } from 'vitest';

let child: ChildProcessByStdio<null, Readable, Readable>;
afterEach(() => child.kill('SIGKILL'));

/** A process that runs `runMain` with this Runnable. */
function start(runnable: string): typeof child {
  const main = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./logger.ts'))};
    import { runMain } from ${JSON.stringify(import.meta.resolve('./lifecycle.ts'))};
    await runMain(createLogger({ svc: 'test' }), () => (${runnable}));`;
  const args = ['--conditions=source', '--input-type=module', '--eval', main];
  child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  return child;
}

/** Resolves when the process has logged the text. */
async function printed(text: string): Promise<void> {
  for (let seen = ''; !seen.includes(text); ) seen += String((await once(child.stdout, 'data'))[0]);
}

const IDLE = '{ async start() { setInterval(() => {}, 1e6); }, async stop() {} }';

test('runMain drains on SIGTERM and exits 0', async () => {
  start(IDLE);
  await printed('"started"');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('runMain exits at once on a second SIGTERM', async () => {
  start('{ async start() { setInterval(() => {}, 1e6); }, stop: () => new Promise(() => {}) }');
  await printed('"started"');
  child.kill('SIGTERM');
  await printed('"stopping"');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([1, null]);
});

test('a process whose log nobody reads any more still ends on SIGTERM', async () => {
  start(IDLE);
  await printed('"started"');
  child.stdout.destroy();
  child.stderr.destroy();
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
