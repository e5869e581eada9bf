import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { issueTurnCredentials, systemClock, VirtualClock } from '@orama/core';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { expect, test } from 'vitest';
import type { Ledger } from '../allocation/ledger.ts';
import { TurnClient } from '../client/turn-client.ts';
import { sourceLimitMemory } from '../listener/source-limits.ts';
import { relaySocketsMemory } from '../relay/relay-sockets.ts';
import { freePort, SECRET } from '../testing/harness.ts';
import { ThreadWorker } from './thread-worker.ts';

const LISTEN = '127.92.1.50';

function settingsOf(port: number) {
  const config = turnConfigSchema.parse({
    node: 'node-1',
    listen: [LISTEN],
    port,
    tls: false,
    realm: 'orama.localhost',
    controlSocket: '/nonexistent/turn.sock',
    internal: { address: '127.92.0.50' },
  });
  const memory = { sourceLimits: sourceLimitMemory(1), relaySockets: relaySocketsMemory(100) };
  return { id: 3, workers: 4, config, nonceKey: new Uint8Array(32), ...memory, reusePort: true };
}

const noLedger = (): Ledger => {
  throw new Error('there is no tenant');
};

test('start rejects with the system’s error when its thread cannot listen, and close ends the thread', async () => {
  const foreign = createSocket('udp4').bind({ address: LISTEN, port: 0 });
  await once(foreign, 'listening');
  const { port } = foreign.address();
  const worker = new ThreadWorker({ settings: settingsOf(port), logLevel: 'silent' }, noLedger, new VirtualClock());
  await expect(worker.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await worker.close();
  foreign.close();
});

test('an allocation is over when the main thread has taken its lease back, and the Refresh is answered then', async () => {
  const asked = Promise.withResolvers<void>();
  const given = Promise.withResolvers<void>();
  const relayPort = await freePort(LISTEN);
  const ledger: Ledger = {
    open: () => ({ ok: true, lease: { id: 1, port: relayPort, family: 4, token: undefined } }),
    replacePort: () => undefined,
    close: () => {
      asked.resolve();
      return given.promise;
    },
  };
  const port = await freePort(LISTEN);
  const worker = new ThreadWorker({ settings: settingsOf(port), logLevel: 'silent' }, () => ledger, systemClock);
  await worker.start();
  const relay = { address: LISTEN, portStart: relayPort, portEnd: relayPort };
  const tenant = turnTenantSchema.parse({ namespace: 'demo', secrets: [SECRET], relay, peers: [], generation: 1 });
  await worker.attach(tenant, { bytes: undefined, boundPorts: {} });
  const credentials = issueTurnCredentials({
    secret: SECRET,
    namespace: 'demo',
    ttlSec: 60,
    uris: [],
    nowMs: Date.now(),
  });
  const client = await TurnClient.open({ transport: 'udp', server: { address: LISTEN, port }, ...credentials });
  await client.allocate();
  let answered = false;
  const answer = client.refresh(0).finally(() => {
    answered = true;
  });
  await asked.promise;
  await client.binding();
  expect(answered).toBe(false);
  given.resolve();
  expect(await answer).toBe(0);
  await client.close();
  await worker.close();
});

test('a thread that answers nothing any more is thrown as an error after fifteen seconds', async () => {
  // Answers, and then stands still until the first place of the shared memory is set.
  const stuck = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { times } = workerData.settings.sourceLimits;
    let answered = 0;
    parentPort.on('message', ({ id }) => {
      parentPort.postMessage({ kind: 'done', id });
      if (++answered === 3) Atomics.wait(times, 0, 0);
    });`;
  const settings = settingsOf(3478);
  const clock = new VirtualClock();
  const entry = new URL(`data:text/javascript,${encodeURIComponent(stuck)}`);
  const worker = new ThreadWorker({ settings, logLevel: 'silent' }, noLedger, clock, entry);
  await worker.start();
  // Two that are answered; then none.
  clock.advance(3_000);
  await worker.report();
  for (let n = 0; n < 5; n++) clock.advance(3_000);
  expect(() => clock.advance(3_000)).toThrow('worker 3 does not answer');

  Atomics.store(settings.sourceLimits.times, 0, 1);
  Atomics.notify(settings.sourceLimits.times, 0);
  await worker.close();
});
