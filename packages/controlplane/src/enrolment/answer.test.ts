import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EnrolAnswer, type EnrolRequest, enrolAnswerSchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations, testConfig } from '../../testing/node-context.ts';
import type { OperationContext } from '../operations/context.ts';
import { answerEnrolment } from './answer.ts';
import { digestOf } from './secret-files.ts';

const KEY = 'the cluster key';
const REQUEST: EnrolRequest = {
  ...{ node: 'node-2', region: 'default', publicIp: '203.0.113.2', publicIp6: null },
  network: { kind: 'present', address: '127.83.0.2' },
  secretFiles: [],
};

let operations: TestOperations;
let context: OperationContext;
beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
  const expiresAtMs = Date.now() + 60_000;
  const invitation = { id: 'inv_1', answeredBy: 'node-1', createdBy: 'operator', expiresAtMs };
  await context.store.db.batch([context.store.invitations.insert(invitation)]);
});
afterEach(() => operations.close());

async function answer(config: Parameters<typeof testConfig>[1], request = REQUEST): Promise<EnrolAnswer> {
  const asked = { invitation: 'inv_1', body: JSON.stringify(request), from: '203.0.113.2' };
  const { body } = await answerEnrolment({ ...context, config: testConfig(operations.dir, config) }, KEY, asked);
  return enrolAnswerSchema.parse(JSON.parse(JSON.stringify(body)));
}

test('a machine that joins is given what operators and clients meet the same at every node, and nothing of one machine', async () => {
  const gateway = { callPage: true, trustedProxies: ['10.1.0.9'], operatorApi: { allowFrom: ['203.0.113.0/24'] } };
  const { shared } = await answer({
    gateway: { ...gateway, listen: { address: '127.0.0.1', port: 6080 } },
    turn: { maxAllocationsPerSource: 7, workers: 2, maxTcpConnections: 99 },
  });
  expect(shared.gateway).toEqual(gateway);
  expect(shared.turn).toMatchObject({ maxAllocationsPerSource: 7 });
  for (const own of ['workers', 'maxTcpConnections', 'external']) expect(shared.turn).not.toHaveProperty(own);
});

test('the secrets that the settings name come with the answer; another one is refused before the machine is taken in', async () => {
  const path = join(operations.dir, 'tsig.key');
  const server = { address: '203.0.113.53' };
  const dns = { writer: 'rfc2136' as const, server, tsig: { name: 'ours', keyFile: path } };
  const nodes = async () => (await context.store.nodes.list()).map(({ id }) => id);
  await expect(answer({ dns })).rejects.toThrow(`on node-1: secret file ${path} cannot be read`);
  writeFileSync(path, 'the secret\n', { mode: 0o600 });
  const naming = (sha256: string | null) => ({ ...REQUEST, secretFiles: [{ path, sha256 }] });
  const having = (secret: string) => naming(digestOf(secret));
  await expect(answer({ dns }, having('another'))).rejects.toMatchObject({
    ...{ code: 'CONFLICT', message: `${path} of node-2 holds another secret than that of node-1` },
  });
  await expect(answer({ dns })).rejects.toThrow(`name other secret files than the token (now: ${path})`);
  await expect(answer({}, naming(null))).rejects.toThrow('than the token (now: none)');
  expect(await nodes()).toEqual([]);
  for (const request of [naming(null), having('the secret')])
    expect((await answer({ dns }, request)).secretFiles).toEqual([{ path, secret: 'the secret' }]);
  expect(await nodes()).toEqual(['node-2']);
  expect((await answer({})).secretFiles).toEqual([]);
});
