import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

describe('cmd/gateway', () => {
  let dir: string;
  const children: ChildProcess[] = [];
  const address = `127.84.250.${(process.pid % 200) + 1}`;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'orama-cmd-gateway-'));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(dir, { recursive: true, force: true });
  });

  /** Starts the program from its sources. */
  async function start(overrides: object = {}) {
    const file = join(dir, 'gateway.json');
    await writeFile(join(dir, 'cluster.key'), 'a cluster key for this test', { mode: 0o600 });
    const config = {
      node: 'node-1',
      listen: { address, port: 6080 },
      internal: { address, port: 6002 },
      baseDomain: 'orama.test',
      store: { driver: 'sqlite', file: join(dir, 'store.db') },
      clusterKeyFile: join(dir, 'cluster.key'),
      ...overrides,
    };
    await writeFile(file, JSON.stringify(config));
    const main = join(import.meta.dirname, 'main.ts');
    const child = spawn(process.execPath, ['--conditions=source', main, '--config', file]);
    children.push(child);
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      output += String(chunk);
    });
    const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
    return { child, exited };
  }

  it('becomes ready, answers, and exits 0 on SIGTERM with a connection open', async () => {
    const { child, exited } = await start();
    const ready = async () => expect((await fetch(`http://${address}:6002/readyz`)).status).toBe(200);
    await vi.waitFor(ready, { timeout: 10_000, interval: 50 });
    expect((await fetch(`http://${address}:6080/v1/webrtc/rooms`)).status).toBe(401);
    child.kill('SIGTERM');
    expect(await exited).toMatchObject({ code: 0, output: expect.stringContaining('"stopped"') });
  }, 20_000);

  it('writes no key into its log, whatever carried it', async () => {
    const { child, exited } = await start({ logLevel: 'trace' });
    const base = `http://${address}:6080`;
    const key = 'ok_do_not_log_me_0123456789';
    await vi.waitFor(() => fetch(base), { timeout: 10_000, interval: 50 });
    await fetch(`${base}/v1/webrtc/rooms?api_key=${key}`, { headers: { 'x-api-key': key } });
    await fetch(`${base}/v1/${key}`, { headers: { authorization: `ApiKey ${key}` } });
    const socket = new WebSocket(`ws://${address}:6080/v1/webrtc/signal?room=r&api_key=${key}`);
    await new Promise((resolve) => socket.addEventListener('close', resolve));
    child.kill('SIGTERM');
    const { code, output } = await exited;
    expect(code).toBe(0);
    expect(output).toContain('/v1/webrtc/rooms');
    expect(output).not.toContain(key);
  }, 20_000);

  it('exits 2 and names every problem of its configuration', async () => {
    const { exited } = await start({ baseDomain: '', extra: true });
    expect(await exited).toMatchObject({ code: 2, output: expect.stringMatching(/baseDomain[\s\S]*extra/) });
  }, 20_000);

  it('exits 1 when its address cannot be listened on', async () => {
    const { exited } = await start({ listen: { address: '192.0.2.1', port: 6080 } });
    expect(await exited).toMatchObject({ code: 1, output: expect.stringContaining('192.0.2.1') });
  }, 20_000);
});
