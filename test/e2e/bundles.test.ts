import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SfuConfigInput, TurnConfigInput } from '@orama/protocol';
import { REPOSITORY, waitFor } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

// What a bundle starts or loads late, and would be missed late.
let folder: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-bundles-'));
  writeFileSync(join(folder, 'secret'), 'x'.repeat(43), { mode: 0o600 });
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a built daemon. @param options of node */
function start(daemon: string, config: object, options: string[] = []) {
  const file = join(folder, `${daemon}.json`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const main = join(REPOSITORY, 'cmd', daemon, 'dist/main.js');
  const child = spawn(process.execPath, [...options, main, '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

/** Waits until a daemon shows a metric; then it ends as it is asked to. */
async function showsAndEnds(child: ChildProcess, internal: string, metric: string): Promise<void> {
  await waitFor(metric, async () =>
    (await (await fetch(`http://${internal}/metrics`)).text()).includes(`\n${metric}\n`),
  );
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
}

test('an SFU that is full starts another worker', async () => {
  const address = '127.86.2.1';
  const config: SfuConfigInput = {
    ...{ node: 'node-1', namespace: 'demo', address, wireguardNetwork: '127.86.2.0/24', signalingPort: 30_091 },
    ...{ mediaPortStart: 20_000, mediaPortEnd: 20_499, workers: 2, secretFile: join(folder, 'secret') },
    turn: { uris: ['turn:127.86.1.1:3478?transport=udp'], secret: 'x'.repeat(43) },
  };
  const busy = join(folder, 'busy.mjs');
  writeFileSync(busy, 'setInterval(() => { for (const end = Date.now() + 95; Date.now() < end; ); }, 100).unref();');
  const sfu = start('sfu', config, ['--import', busy]);
  await showsAndEnds(sfu, `${address}:30091`, 'orama_sfu_workers{svc="sfu"} 2');
});

test.each([
  { engine: 'orama', workers: 2 },
  { engine: 'node-turn', workers: 1 },
] as const)('a TURN server of the engine $engine with $workers workers starts', async ({ engine, workers }) => {
  const address = '127.86.3.1';
  const config: TurnConfigInput = {
    ...{ node: 'node-1', engine, workers, listen: [address], port: 34_780, tls: false, realm: 'orama.localhost' },
    ...{ controlSocket: join(folder, `${engine}.sock`), internal: { address: '127.86.3.2', port: 34_781 } },
  };
  await showsAndEnds(start('turn', config), '127.86.3.2:34781', 'orama_ready 1');
});

/** Files that a file of a bundle imports, now or late, and those that they do. */
function parts(dist: string, file: string, found = new Set<string>()): Set<string> {
  for (const [, name = ''] of readFileSync(join(dist, file), 'utf8').matchAll(/"\.\/([\w.-]+-[\w-]{8}\.js)"/g))
    if (!found.has(name)) parts(dist, name, found.add(name));
  return found;
}

test('all that the command line loads late can be loaded', () => {
  const dist = join(REPOSITORY, 'cmd/orama/dist');
  const files = [...parts(dist, 'main.js')];
  expect(files.length).toBeGreaterThan(10);
  const script = `for (const file of ${JSON.stringify(files)}) await import(${JSON.stringify(`${dist}/`)} + file)`;
  execFileSync(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000 });
});
