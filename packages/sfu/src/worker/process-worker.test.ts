import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { sfuConfigSchema } from '@orama/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { TEST_SECRET, TEST_TURN_SECRET } from '../testing/running-sfu.ts';
import { until } from '../testing/test-peer.ts';
import { workerProcesses } from '../testing/worker-processes.ts';
import { ProcessWorker } from './process-worker.ts';

const ADDRESS = '127.68.5.1';
const config = sfuConfigSchema.parse({
  ...{ node: 'node-1', namespace: 'demo', address: ADDRESS, wireguardNetwork: '127.68.0.0/16', logLevel: 'fatal' },
  ...{ signalingPort: 30_000, mediaPortStart: 20_000, mediaPortEnd: 20_199, secretFile: 'not read here' },
  turn: { uris: [], secret: TEST_TURN_SECRET },
});

const start = (clock: VirtualClock, onEnd: (worker: ProcessWorker) => void, ports = { start: 20_000, end: 20_099 }) =>
  ProcessWorker.start({ id: 1, config, ports, secret: TEST_SECRET }, silentLogger, clock, onEnd);
const noWorkers = () => until('no worker', () => workerProcesses().length === 0);

test('a worker that hangs does not keep close() from coming to an end', async () => {
  const clock = new VirtualClock();
  const ended: number[] = [];
  const worker = await start(clock, ({ id }) => ended.push(id));
  const [pid] = workerProcesses();
  if (pid === undefined) throw new Error('no process was started');
  // One that stands still would keep the tests from coming to an end.
  onTestFinished(() => {
    if (workerProcesses().includes(pid)) process.kill(pid, 'SIGKILL');
  });
  process.kill(pid, 'SIGSTOP');
  const closed = worker.close();
  clock.advance(10_000);
  await closed;
  expect(workerProcesses()).toEqual([]);
  expect(ended).toEqual([]);
});

test('nothing is kept of answers that a worker has given; one that has ended is told to who asks', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const worker = await start(new VirtualClock(), () => {});
  const answers: WeakRef<object>[] = [];
  for (let i = 0; i < 10; i++) answers.push(new WeakRef(await worker.metrics()));
  await until('the collector', () => {
    collect();
    // The last one may still stand on the stack.
    return answers.slice(0, 9).every((answer) => answer.deref() === undefined);
  });
  const pids = workerProcesses();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  const asked = expect(worker.metrics()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await asked;
  await expect(worker.metrics()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a worker that cannot start leaves no process behind', async () => {
  const port = createSocket('udp4').bind({ address: ADDRESS, port: 20_000, exclusive: true });
  onTestFinished(() => void port.close());
  await once(port, 'listening');
  const started = start(new VirtualClock(), () => {}, { start: 20_000, end: 20_000 });
  await expect(started).rejects.toThrow('no media port from 20000 to 20000');
  await noWorkers();
});

test('a worker that hangs while it starts is ended', async () => {
  const clock = new VirtualClock();
  const started = expect(start(clock, () => {})).rejects.toThrow('ended with SIGKILL');
  const [pid = 0] = await until('its process', () => workerProcesses().length > 0 && workerProcesses());
  process.kill(pid, 'SIGSTOP');
  clock.advance(30_000);
  await started;
  await noWorkers();
});
