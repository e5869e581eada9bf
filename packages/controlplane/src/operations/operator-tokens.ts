import { createHash, randomBytes, randomInt } from 'node:crypto';
import { OramaError } from '@orama/core';
import type { CreatedOperatorToken, CreateOperatorToken, OperatorTokenView } from '@orama/protocol';
import { auditStatement, type OperatorTokenRow, StoreConflictError } from '@orama/store';
import type { OperationContext } from './context.ts';

const ID_CHARACTERS = '0123456789abcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 16;
const SECRET_BYTES = 32;

/** What the store keeps of a token's secret. It has 256 random bits, so that a fast hash is enough. */
export function hashOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** How the audit trail and the history of operations name who holds a token. */
export function actorOfToken(name: string): string {
  return `token:${name}`;
}

/** Makes a token, which is shown here and never again. Throws CONFLICT where the name is taken. */
export async function createOperatorToken(
  { store, clock }: OperationContext,
  { name, scope, ttlSec, requestedBy }: CreateOperatorToken,
): Promise<CreatedOperatorToken> {
  const nowMs = clock.now();
  const id = Array.from({ length: ID_LENGTH }, () => ID_CHARACTERS[randomInt(ID_CHARACTERS.length)]).join('');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const row: OperatorTokenRow = {
    ...{ id, name, scope, hash: hashOfSecret(secret), createdBy: requestedBy, createdAtMs: nowMs },
    expiresAtMs: nowMs + ttlSec * 1000,
  };
  const result = `${name} (${scope})`;
  const entry = { atMs: nowMs, actor: requestedBy, action: 'create-operator-token', namespace: null, result };
  try {
    await store.db.batch([store.operatorTokens.insert(row), auditStatement(entry)]);
  } catch (thrown) {
    if (!(thrown instanceof StoreConflictError)) throw thrown;
    throw new OramaError('CONFLICT', `there is a token "${name}" already; nothing was changed`, {
      cause: thrown,
      hint: `choose another name, or end that one: orama token revoke ${name}`,
    });
  }
  return { ...toView(row, nowMs), token: `orama_op_${id}.${secret}` };
}

export async function listOperatorTokens({ store, clock }: OperationContext): Promise<OperatorTokenView[]> {
  const nowMs = clock.now();
  return (await store.operatorTokens.list()).map((row) => toView(row, nowMs));
}

/** Ends a token; the next call with it is refused. Throws NOT_FOUND. */
export async function revokeOperatorToken(
  { store, clock }: OperationContext,
  name: string,
  requestedBy: string,
): Promise<void> {
  const entry = { actor: requestedBy, action: 'revoke-operator-token', namespace: null, result: name };
  const [removed] = await store.db.batch([
    store.operatorTokens.remove(name),
    auditStatement({ ...entry, atMs: clock.now() }),
  ]);
  if (removed?.changes === 0) {
    throw new OramaError('NOT_FOUND', `there is no token "${name}"`, { hint: 'orama token list shows all' });
  }
}

function toView(row: OperatorTokenRow, nowMs: number): OperatorTokenView {
  return {
    name: row.name,
    scope: row.scope,
    createdBy: row.createdBy,
    createdAt: new Date(row.createdAtMs).toISOString(),
    expiresAt: new Date(row.expiresAtMs).toISOString(),
    expired: row.expiresAtMs <= nowMs,
  };
}
