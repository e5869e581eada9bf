import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');
const SECRET = 'a secret that must not be seen anywhere';
const ADDRESS = '127.82.253.40';
let dir: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sfu-main-'));
  writeFileSync(join(dir, 'secret'), SECRET, { mode: 0o600 });
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

function configFile(change: Record<string, unknown> = {}): string {
  const file = join(dir, 'sfu.json');
  const config = {
    ...{ node: 'node-1', namespace: 'demo', address: ADDRESS, wireguardNetwork: '127.82.253.0/24' },
    ...{ signalingPort: 30_040, mediaPortStart: 20_000, mediaPortEnd: 20_099 },
    ...{ secretFile: join(dir, 'secret'), turn: { uris: ['turn:127.82.1.1:3478'], secret: SECRET } },
    ...change,
  };
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

/** Starts the program; `output` grows with what it writes. */
function run(...args: string[]) {
  const output = { text: '' };
  child = spawn(process.execPath, ['--conditions=source', MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output.text += text;
    });
  }
  return { child, output, exit: once(child, 'close').then(([code]) => code as number) };
}

test('sfu --config listens on its address and nowhere else, and SIGTERM ends it with 0 when no peer is there', async () => {
  const { child, output, exit } = run('--config', configFile());
  await expect.poll(() => output.text, { timeout: 20_000 }).toContain('"msg":"started"');
  const health = await (await fetch(`http://${ADDRESS}:30040/healthz`)).json();
  expect(health).toEqual({
    ...{ status: 'ok', version: expect.stringMatching(/^\d+\.\d+\.\d+$/), namespace: 'demo', node: 'node-1' },
    ...{ rooms: 0, peers: 0, generation: 0 },
  });
  expect((await fetch(`http://${ADDRESS}:30040/readyz`)).status).toBe(200);
  expect(await (await fetch(`http://${ADDRESS}:30040/metrics`)).text()).toContain('orama_sfu_peers{svc="sfu"} 0');
  await expect(fetch('http://127.0.0.1:30040/healthz')).rejects.toThrow();
  expect(listenersOf(child.pid as number)).toEqual([`${ADDRESS}:30040`]);
  child.kill('SIGTERM');
  expect(await exit).toBe(0);
  expect(output.text).not.toContain(SECRET);
});

test.each([
  [{ address: '0.0.0.0' }, 'must not listen on 0.0.0.0'],
  [{ address: '203.0.113.7' }, 'outside the WireGuard network 127.82.253.0/24'],
  [{ mediaPortEnd: 19_999 }, 'mediaPortEnd 19999 is below mediaPortStart 20000'],
  [{ namespace: 'NO', signalingPort: 0, surprise: true }, 'signalingPort'],
])('sfu with %j ends with 2 and says why', async (change, message) => {
  const { output, exit } = run('--config', configFile(change));
  expect(await exit).toBe(2);
  expect(output.text).toContain(message);
});

test('sfu whose secret file others can read ends with 2', async () => {
  chmodSync(join(dir, 'secret'), 0o644);
  const { output, exit } = run('--config', configFile());
  expect(await exit).toBe(2);
  expect(output.text).toContain('readable by others');
});

test('sfu whose port is taken ends with 1 and says so', async () => {
  const first = run('--config', configFile());
  await expect.poll(() => first.output.text, { timeout: 20_000 }).toContain('"msg":"started"');
  const holder = child;
  const second = run('--config', configFile());
  expect(await second.exit).toBe(1);
  expect(second.output.text).toContain(
    `address, signalingPort: TCP port 30040 of ${ADDRESS} is in use by another program`,
  );
  holder?.kill('SIGKILL');
});

/** `address:port` of every TCP socket on which a process listens, from /proc. */
function listenersOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === '0A' && Number.parseInt(local?.split(':')[1] ?? '', 16) === 30_040)
    .map(([, local = '']) => {
      const [address = '', port = ''] = local.split(':');
      const bytes = (address.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16));
      return `${bytes.join('.')}:${Number.parseInt(port, 16)}`;
    });
}
