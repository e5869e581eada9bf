import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { issueTurnCredentials } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { stunUriSchema, turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Output } from '../output/output.ts';
import { resolveSettings } from '../settings.ts';
import { checkTurn } from './check-turn.ts';
import { runChecks } from './run.ts';

const PUBLIC_IP = '127.126.1.30';
const RELAY_IP = '127.126.0.30';
const SECRET = 'a-secret-of-the-checked-tenant';
const LONG_MS = 60_000;

let dir: string;
let turn: TurnService;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'turn-check-'));
  turn = new TurnService(
    turnConfigSchema.parse({
      node: 'node-1',
      listen: [PUBLIC_IP],
      tls: false,
      workers: 1,
      realm: 'orama.localhost',
      controlSocket: join(dir, 'turn.sock'),
      internal: { address: RELAY_IP },
    }),
    silentLogger,
  );
  await turn.start();
  await turn.tenants.attach(
    turnTenantSchema.parse({
      namespace: 'checked',
      secrets: [SECRET],
      relay: { address: RELAY_IP, portStart: 50_000, portEnd: 50_009 },
      peers: [],
      // A burst of 64 KiB, after which nothing comes through for a long time.
      allocationBytesPerSec: 1,
      generation: 1,
    }),
  );
});
afterAll(async () => {
  await turn.close();
  rmSync(dir, { recursive: true });
});

function optionsOf(uri: string, signal: AbortSignal, timeoutMs = LONG_MS) {
  const { username, password } = issueTurnCredentials({
    secret: SECRET,
    namespace: 'checked',
    ttlSec: 600,
    uris: [],
    nowMs: Date.now(),
  });
  const rest = { username, password, insecure: false, relay: true, packets: 40 };
  return { uri, server: stunUriSchema.parse(uri), ...rest, timeoutMs, signal };
}

const never = new AbortController().signal;

test('a name that nobody answers for ends the check when its time is over', async () => {
  const unanswered = () => new Promise<string[]>(() => undefined);
  await expect(checkTurn(optionsOf('turn:turn.example.org', never, 50), unanswered)).rejects.toMatchObject({
    step: 'resolve',
    message: 'the name turn.example.org cannot be resolved: no answer within 50 ms',
  });
});

test('whoever ends a check while a name is looked up does not wait for that', async () => {
  const controller = new AbortController();
  const checking = checkTurn(optionsOf('turn:turn.example.org', controller.signal), () => {
    controller.abort(new Error('enough'));
    return new Promise<string[]>(() => undefined);
  });
  await expect(checking).rejects.toThrow('enough');
});

test('whoever ends a check while it waits for a handshake leaves no connection', async () => {
  const silent = createServer().listen(0, PUBLIC_IP);
  await once(silent, 'listening');
  const controller = new AbortController();
  const uri = `turns:${PUBLIC_IP}:${(silent.address() as AddressInfo).port}`;
  const ended = expect(checkTurn(optionsOf(uri, controller.signal))).rejects.toThrow('enough');
  const [connection] = (await once(silent, 'connection')) as [Socket];
  connection.on('error', () => undefined).resume();
  const gone = once(connection, 'close');
  controller.abort(new Error('enough'));
  await ended;
  await gone;
  silent.close();
});

test('whoever ends a check while packets are lost has its allocation given back', async () => {
  const controller = new AbortController();
  const ended = expect(checkTurn(optionsOf(`turn:${PUBLIC_IP}`, controller.signal))).rejects.toThrow('enough');
  await expect.poll(() => turn.tenants.allocationCount).toBe(1);
  controller.abort(new Error('enough'));
  await ended;
  expect(turn.tenants.allocationCount).toBe(0);
});

test('a name with several addresses is checked at each of them, and what failed names its own', async () => {
  const uri = 'turn:turn.example.org?transport=tcp';
  const { username, password } = optionsOf(uri, never);
  const stream = new PassThrough().resume() as unknown as NodeJS.WriteStream;
  const context = {
    settings: await resolveSettings({}, { PATH: '' }),
    output: new Output({ json: true, stdout: stream, stderr: stream }),
  };
  const options = { username, password, relay: true, packets: 3, timeout: 5 };
  const nobody = '127.126.1.31';
  await expect(runChecks(context, uri, options, async () => [PUBLIC_IP, nobody, PUBLIC_IP])).rejects.toMatchObject({
    message: expect.stringContaining(`${uri} at ${nobody}: no TCP connection to ${nobody} port 3478`),
    details: {
      checks: [
        { uri, resolve: { address: PUBLIC_IP, addresses: [PUBLIC_IP, nobody] }, relay: { received: 3 } },
        { uri, resolve: { address: nobody }, failed: { step: 'connect' } },
      ],
    },
  });
});
