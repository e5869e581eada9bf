import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');
const TIMEOUT_MS = 20_000;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orama-controlplane-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the program to its end; signals it as soon as its log shows `signalAfter`. */
async function run(args: string[], signalAfter?: string) {
  const child = spawn(process.execPath, ['--conditions=source', MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const take = (chunk: Buffer) => {
    output += chunk.toString();
    if (signalAfter && output.includes(signalAfter)) child.kill('SIGTERM');
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, output };
}

const config = (changes: object = {}) => {
  const file = join(dir, 'config.json');
  writeFileSync(
    file,
    JSON.stringify({
      clusterId: 'test',
      node: 'node-1',
      wireguardIp: '127.83.40.1',
      publicIp: '127.83.40.101',
      wireguardNetwork: '127.83.40.0/24',
      baseDomain: 'orama.localhost',
      dataDir: join(dir, 'data'),
      clusterKeyFile: join(dir, 'cluster.key'),
      store: { driver: 'sqlite', file: join(dir, 'store.sqlite') },
      api: { loopback: false },
      coreServices: [],
      services: { manager: 'processes', programs: { gateway: ['a'], turn: ['b'], sfu: ['c'] } },
      gateway: { listen: { address: '127.0.0.1', port: 6080 } },
      dns: { writer: 'file', file: join(dir, 'zone.txt') },
      ...changes,
    }),
  );
  return file;
};

test(
  'without --config it says how it is used and exits 2',
  async () => {
    const { code, output } = await run([]);
    expect(code).toBe(2);
    expect(output).toContain('usage: orama-controlplane --config <file>');
  },
  TIMEOUT_MS,
);

test(
  'a configuration with mistakes is refused with all of them and exit code 2',
  async () => {
    const { code, output } = await run(['--config', config({ wireguardIp: 'nowhere', node: '-', surprise: 1 })]);
    expect(code).toBe(2);
    for (const word of ['wireguardIp', 'node', 'surprise']) expect(output).toContain(word);
  },
  TIMEOUT_MS,
);

test(
  'a cluster key that others can read is refused with exit code 2',
  async () => {
    writeFileSync(join(dir, 'cluster.key'), 'key', { mode: 0o644 });
    const { code, output } = await run(['--config', config()]);
    expect(code).toBe(2);
    expect(output).toContain('readable by others');
  },
  TIMEOUT_MS,
);

test(
  'SIGTERM ends it with exit code 0',
  async () => {
    writeFileSync(join(dir, 'cluster.key'), 'the cluster key', { mode: 0o600 });
    const { code, output } = await run(['--config', config()], 'node restored');
    expect(output).toContain('stopped');
    expect(code).toBe(0);
  },
  TIMEOUT_MS,
);
