import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SfuConfigInput } from '@orama/protocol';
import { listSockets, REPOSITORY, socketsOf, waitFor } from '@orama/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const SIGNALLING_PORT = 30_090;
let folder: string;
let running: ChildProcess | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-sfu-'));
  writeFileSync(join(folder, 'secret'), 'x'.repeat(43), { mode: 0o600 });
});
afterEach(() => running?.kill('SIGKILL'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function startSfu(address: string) {
  const config: SfuConfigInput = {
    node: 'node-1',
    namespace: 'demo',
    address,
    wireguardNetwork: '127.86.0.0/24',
    signalingPort: SIGNALLING_PORT,
    mediaPortStart: 20_000,
    mediaPortEnd: 20_499,
    secretFile: join(folder, 'secret'),
    turn: { uris: ['turn:127.86.1.1:3478?transport=udp'], secret: 'x'.repeat(43) },
    logLevel: 'info',
  };
  const file = join(folder, 'sfu.json');
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  const main = join(REPOSITORY, 'cmd/sfu/dist/main.js');
  const child = spawn(process.execPath, [main, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  running = child;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number, output })) };
}

test.each(['0.0.0.0', '::', '203.0.113.5', '127.0.0.1', '127.86.1.1', '10.0.0.1', '::ffff:127.86.0.1', '::1'])(
  'the SFU refuses to start on %s, which is not in its WireGuard network, and says so',
  async (address) => {
    const { code, output } = await startSfu(address).ended;
    expect(code).toBe(2);
    expect(output).toContain(address);
    expect(output).toContain('127.86.0.0/24');
    expect(listSockets().filter((socket) => socket.local.port === SIGNALLING_PORT)).toEqual([]);
  },
  20_000,
);

test('on an address of its WireGuard network it starts, listens there only, and ends cleanly on SIGTERM', async () => {
  const { child, ended } = startSfu('127.86.0.1');
  const pid = child.pid as number;
  const sockets = await waitFor('the SFU to listen', () => {
    const listening = socketsOf(pid).filter((socket) => socket.listening);
    return listening.length > 0 && listening;
  });
  expect(new Set(sockets.map((socket) => socket.local.address))).toEqual(new Set(['127.86.0.1']));
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
});
