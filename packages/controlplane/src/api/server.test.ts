import { deriveKey, SIGNATURE_HEADER, signRequest, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { CONTROLPLANE_API_PREFIX, CONTROLPLANE_KEY_INFO, OPERATOR_API_PREFIX } from '@orama/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { callHttp } from '../http-call.ts';
import { ApiServer } from './server.ts';

const ADDRESS = { address: '127.83.21.1', port: 6001 };

test('calls that gateways sign for anybody with something like a token take nothing from nodes and the CLI', async () => {
  // Nothing is added to the buckets meanwhile.
  const clock = new VirtualClock();
  const clusterKey = 'cluster key of the test';
  const server = new ApiServer({
    clusterKey,
    listen: [ADDRESS],
    health: () => undefined,
    routes: async () => ({ status: 200, body: {} }),
    clock,
    logger: silentLogger,
  });
  await server.start();
  onTestFinished(() => server.stop());
  let calls = 0;
  const call = async (prefix: string) => {
    const target = `${prefix}/nodes?call=${calls++}`;
    const signature = signRequest(deriveKey(clusterKey, CONTROLPLANE_KEY_INFO), 'GET', target, '', clock.now());
    return (await callHttp(ADDRESS, 'GET', target, { headers: { [SIGNATURE_HEADER]: signature } })).status;
  };
  let answered = 0;
  while ((await call(OPERATOR_API_PREFIX)) === 200) answered += 1;
  expect(answered).toBeLessThanOrEqual(500);
  expect(await call(CONTROLPLANE_API_PREFIX)).toBe(200);
});
