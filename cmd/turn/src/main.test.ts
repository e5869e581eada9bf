import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueTurnCredentials } from '@orama/core';
import { TurnClient } from '@orama/turn/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');
let dir: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'turn-main-'));
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** Starts the program, with options of Node before it; `output` grows with what it writes. */
function run(nodeArgs: string[], ...args: string[]) {
  return start(process.execPath, ['--conditions=source', ...nodeArgs, MAIN, ...args]);
}

function start(program: string, args: string[]) {
  const output = { text: '' };
  child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output.text += text;
    });
  }
  return { child, output, exit: once(child, 'close').then(([code]) => code as number) };
}

/** One call on the control socket. */
function control(method: string, path: string, body: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: join(dir, 'turn.sock'), method, path }, (response) => {
      response.setEncoding('utf8').once('data', (text: string) => resolve(JSON.parse(text)));
    });
    call.once('error', reject).end(JSON.stringify(body));
  });
}

test('turn --config starts, and SIGTERM ends it with 0 when no client is there', async () => {
  const config = join(dir, 'turn.yaml');
  writeFileSync(
    config,
    `node: node-1\nlisten: [127.81.1.40]\nport: 34780\nrealm: orama.localhost\ncontrolSocket: ${dir}/turn.sock\n` +
      'internal: { address: 127.81.0.40, port: 34781 }\n',
  );
  const { child, output, exit } = run([], '--config', config);
  await expect.poll(() => output.text, { timeout: 20_000 }).toContain('"msg":"started"');
  expect((await fetch('http://127.81.0.40:34781/readyz')).status).toBe(200);
  child.kill('SIGTERM');
  expect(await exit).toBe(0);
  for (const line of output.text.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ svc: 'turn' });
});

test('strangers who connect leave a server with few open files its relay ports, control socket and metrics', async () => {
  const config = join(dir, 'turn.yaml');
  writeFileSync(
    config,
    `node: node-1\nlisten: [127.81.1.42]\nport: 34784\nrealm: orama.localhost\ncontrolSocket: ${dir}/turn.sock\n` +
      'internal: { address: 127.81.0.42, port: 34785 }\nworkers: 1\ntls: false\n',
  );
  const limited = ['-c', 'ulimit -n 200; exec "$@"', 'sh', process.execPath, '--conditions=source', MAIN];
  const { output } = start('sh', [...limited, '--config', config]);
  await expect.poll(() => output.text, { timeout: 20_000 }).toContain('"msg":"started"');
  expect(output.text).toMatch(/"limit":200,"connections":58,.*LimitNOFILE/);
  const strangers = Array.from({ length: 210 }, (_, n) =>
    connect({ host: '127.81.1.42', port: 34784, localAddress: `127.81.9.${1 + (n % 3)}` }).on('error', () => undefined),
  );
  await Promise.all(strangers.map((stranger) => once(stranger, 'connect')));
  await Promise.all(strangers.slice(58).map((stranger) => once(stranger.resume(), 'close')));
  expect((await fetch('http://127.81.0.42:34785/metrics')).status).toBe(200);
  const secret = 'the-secret-of-the-demo';
  const tenant = {
    namespace: 'demo',
    secrets: [secret],
    relay: { address: '127.81.0.42', portStart: 61_000, portEnd: 61_099 },
    peers: [],
    generation: 1,
  };
  expect(await control('PUT', '/tenants/demo', tenant)).toMatchObject({ namespace: 'demo' });
  const nowMs = Date.now();
  const credentials = issueTurnCredentials({ secret, namespace: 'demo', ttlSec: 60, uris: [], nowMs });
  const server = { address: '127.81.1.42', port: 34_784 };
  const client = await TurnClient.open({ transport: 'udp', server, ...credentials });
  expect((await client.allocate()).relayed.address).toBe('127.81.0.42');
  await client.close();
  for (const stranger of strangers) stranger.destroy();
});

test('turn with engine node-turn says what it is, and starts on loopback addresses only', async () => {
  const config = join(dir, 'turn.yaml');
  const write = (listen: string) =>
    writeFileSync(
      config,
      `node: node-1\nlisten: [${listen}]\nport: 34790\nrealm: orama.localhost\ncontrolSocket: ${dir}/turn.sock\n` +
        'internal: { address: 127.94.0.41, port: 34791 }\nengine: node-turn\ntls: false\n',
    );
  write('192.0.2.1');
  const refused = run([], '--config', config);
  expect(await refused.exit).toBe(2);
  expect(refused.output.text).toContain('192.0.2.1, which is not a loopback address');

  write('127.94.1.41');
  const { child, output, exit } = run([], '--config', config);
  await expect.poll(() => output.text, { timeout: 20_000 }).toContain('"msg":"started"');
  expect(output.text).toContain('the reference engine for development');
  child.kill('SIGTERM');
  expect(await exit).toBe(0);
});

test.each([
  [[], '--config is missing'],
  [['--config', '/nonexistent/turn.yaml'], 'cannot be read'],
])('turn %j ends with 2 and says why', async (args, message) => {
  const { output, exit } = run([], ...args);
  expect(await exit).toBe(2);
  expect(output.text).toContain(message);
});

test.each([
  ['port: 34795\ninternal: { address: 192.0.2.1, port: 34796 }', 'internal: TCP port 34796 of 192.0.2.1 cannot be had'],
  ['port: 34797\ninternal: { address: 127.94.0.43 }', 'listen, port: UDP port 34797 of 127.94.1.43 is in use'],
])(
  'turn with an address that it cannot have ends with 1, and names field, address, port and next step: %j',
  async (lines, message) => {
    const holder = createSocket('udp4').bind(34_797, '127.94.1.43');
    await once(holder, 'listening');
    const config = join(dir, 'turn.yaml');
    writeFileSync(
      config,
      `node: node-1\nlisten: [127.94.1.43]\nrealm: orama.localhost\ncontrolSocket: ${dir}/turn.sock\n${lines}\n`,
    );
    const { output, exit } = run([], '--config', config);
    expect(await exit).toBe(1);
    expect(output.text).toContain(`start failed: ${message}`);
    expect(output.text).toMatch(/^(stop|configure) .+$/m);
    holder.close();
  },
);

test('turn with a configuration that does not fit names every problem', async () => {
  const config = join(dir, 'turn.yaml');
  writeFileSync(
    config,
    'node: NODE\nlisten: []\nrealm: x\ncontrolSocket: s\ninternal: { address: 127.0.0.1 }\nsurprise: 1\n',
  );
  const { output, exit } = run([], '--config', config);
  expect(await exit).toBe(2);
  for (const path of ['node', 'listen', 'surprise']) expect(output.text).toContain(path);
});

describe('turn with two workers', () => {
  const settings = (address: string) =>
    `node: node-1\nlisten: [127.92.1.${address}]\nport: 34780\nrealm: orama.localhost\nworkers: 2\n` +
    `controlSocket: ${dir}/turn.sock\ninternal: { address: 127.92.0.${address}, port: 34781 }\n`;

  test('an error that nobody catches in one of them ends the process with 1 and its reason', async () => {
    const config = join(dir, 'turn.yaml');
    const fault = join(dir, 'fault.mjs');
    writeFileSync(config, settings('41'));
    // Loaded into every thread; throws in the second worker once the trigger is there.
    writeFileSync(
      fault,
      `import { watch } from 'node:fs';
      import { workerData } from 'node:worker_threads';
      if (workerData?.settings?.id === 1) watch(${JSON.stringify(dir)}, (_event, file) => {
        if (file === 'trigger') throw new Error('the fault of the test');
      });`,
    );
    const { output, exit } = run(['--import', fault], '--config', config);
    await expect.poll(() => output.text, { timeout: 20_000 }).toContain('"msg":"started"');
    writeFileSync(join(dir, 'trigger'), '');
    expect(await exit).toBe(1);
    const fatal = output.text.split('\n').find((line) => line.includes('"level":60'));
    expect(fatal).toContain('worker 1 ended by itself');
    expect(fatal).toContain('the fault of the test');
  });

  test('POST /drain is answered, and ends the process with 0 when no client is there', async () => {
    const config = join(dir, 'turn.yaml');
    writeFileSync(config, settings('42'));
    // As the controlplane starts it; a thread takes no such option.
    const { output, exit } = run(['--max-semi-space-size=4'], '--config', config);
    await expect.poll(() => output.text, { timeout: 20_000 }).toContain('"msg":"started"');
    expect(await control('POST', '/drain', { deadlineMs: 60_000 })).toMatchObject({
      draining: true,
      drainEndsAt: expect.any(Number),
    });
    expect(await exit).toBe(0);
    expect(output.text).toContain('"msg":"draining"');
  });
});
