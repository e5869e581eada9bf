import { createOperatorTokenSchema, OPERATOR_TOKEN } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import { authenticateOperator, requireScope } from '../api/operator-access.ts';
import type { OperationContext } from './context.ts';
import { createOperatorToken, listOperatorTokens, revokeOperatorToken } from './operator-tokens.ts';

let operations: TestOperations;
let context: OperationContext;

beforeEach(async () => {
  operations = new TestOperations();
  context = await operations.connect();
});
afterEach(() => operations.close());

const create = (request: object) => createOperatorToken(context, createOperatorTokenSchema.parse(request));
const authenticate = (token: string, own = context) => authenticateOperator(own, `Bearer ${token}`);
/** The same context, so many seconds later. */
const later = (sec: number): OperationContext => ({
  ...context,
  clock: { ...context.clock, now: () => context.clock.now() + sec * 1000 } as OperationContext['clock'],
});
const auditOf = (action: string) =>
  context.store.db.query<{ actor: string; result: string }>('SELECT actor, result FROM audit WHERE action = ?', [
    action,
  ]);

test('a token is shown once, and the store holds nothing that it could be made from', async () => {
  const { token, ...view } = await create({ name: 'anna', requestedBy: 'root@node-1' });
  expect(token).toMatch(OPERATOR_TOKEN);
  const [, id = '', secret = ''] = OPERATOR_TOKEN.exec(token) ?? [];
  const rows = JSON.stringify(await context.store.db.query('SELECT * FROM operator_tokens'));
  expect(rows).toContain(id);
  expect(rows).not.toContain(secret);
  expect(await listOperatorTokens(context)).toEqual([view]);
  expect(view).toMatchObject({ name: 'anna', scope: 'operator', createdBy: 'root@node-1', expired: false });
  expect(await auditOf('create-operator-token')).toEqual([{ actor: 'root@node-1', result: 'anna (operator)' }]);
});

test('authenticateOperator knows the token, and refuses every other one alike', async () => {
  const { token } = await create({ name: 'anna', scope: 'viewer' });
  expect(await authenticate(token)).toMatchObject({ name: 'anna', scope: 'viewer' });
  expect(await authenticateOperator(context, `bearer  ${token}`)).toMatchObject({ name: 'anna' });
  const other = (await create({ name: 'other' })).token;
  const wrong = [
    `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
    `${token.split('.')[0]}.${other.split('.')[1]}`,
    other.replace(/_[a-z0-9]{16}\./, '_0000000000000000.'),
  ];
  for (const each of wrong) {
    await expect(authenticate(each)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringContaining('valid'),
    });
  }
  for (const header of [undefined, '', 'Bearer ', 'Bearer x', `Basic ${token}`, `${token} `]) {
    await expect(authenticateOperator(context, header)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  }
});

test('a token ends at its time, and when it is revoked', async () => {
  const { token } = await create({ name: 'anna', ttlSec: 60 });
  expect(await authenticate(token, later(59))).toMatchObject({ name: 'anna' });
  await expect(authenticate(token, later(60))).rejects.toMatchObject({ message: expect.stringContaining('expired') });
  expect((await listOperatorTokens(later(60)))[0]).toMatchObject({ expired: true });

  await revokeOperatorToken(context, 'anna', 'root');
  await expect(authenticate(token)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await expect(revokeOperatorToken(context, 'anna', 'root')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const again = await create({ name: 'anna' });
  expect(await authenticate(again.token)).toMatchObject({ name: 'anna' });
  await expect(authenticate(token)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

test('a name is given once', async () => {
  const { token } = await create({ name: 'anna', scope: 'viewer' });
  await expect(create({ name: 'anna' })).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await authenticate(token)).toMatchObject({ scope: 'viewer' });
});

test('a call that names no scope is open to no token, and a viewer only reads', () => {
  const token = (scope: 'viewer' | 'operator') => ({ name: 'x', scope, authorization: '' });
  expect(() => requireScope(token('operator'), undefined)).toThrow(/cluster key/);
  expect(() => requireScope(token('viewer'), 'operator')).toThrow(/only read/);
  requireScope(token('viewer'), 'viewer');
  requireScope(token('operator'), 'viewer');
  requireScope(token('operator'), 'operator');
});
