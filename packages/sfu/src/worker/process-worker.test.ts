import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { sfuConfigSchema } from '@orama/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { TEST_SECRET, TEST_TURN_SECRET } from '../testing/running-sfu.ts';
import { workerProcesses } from '../testing/worker-processes.ts';
import { ProcessWorker } from './process-worker.ts';

const ADDRESS = '127.68.5.1';
const config = sfuConfigSchema.parse({
  ...{ node: 'node-1', namespace: 'demo', address: ADDRESS, wireguardNetwork: '127.68.0.0/16', logLevel: 'fatal' },
  ...{ signalingPort: 30_000, mediaPortStart: 20_000, mediaPortEnd: 20_199, secretFile: 'not read here' },
  turn: { uris: [], secret: TEST_TURN_SECRET },
});

test('a worker that hangs does not keep close() from coming to an end', async () => {
  const clock = new VirtualClock();
  const ended: number[] = [];
  const worker = await ProcessWorker.start(
    { id: 1, config, ports: { start: 20_000, end: 20_099 }, secret: TEST_SECRET },
    silentLogger,
    clock,
    ({ id }) => ended.push(id),
  );
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
