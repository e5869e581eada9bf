import { equalsConstantTime, OramaError } from '@orama/core';
import { OPERATOR_TOKEN, type OperatorScope } from '@orama/protocol';
import type { OperationContext } from '../operations/context.ts';
import { hashOfSecret } from '../operations/operator-tokens.ts';

/** Whoever calls from outside with a token. */
export interface Operator {
  /** Of the token. */
  name: string;
  scope: OperatorScope;
  /** The header that proved it, for a call that is handed on to another node. */
  authorization: string;
}

/** The operator of an `Authorization: Bearer` header. Throws UNAUTHORIZED; which part of a token is wrong is not told. */
export async function authenticateOperator(
  { store, clock }: OperationContext,
  authorization: string | undefined,
): Promise<Operator> {
  const [, id, secret] = OPERATOR_TOKEN.exec(authorization?.replace(/^Bearer +/i, '') ?? '') ?? [];
  if (authorization === undefined || id === undefined || secret === undefined) throw refused('no operator token');
  const row = await store.operatorTokens.get(id);
  // Compared in any case, so that the time tells nobody which ids there are.
  const proven = equalsConstantTime(hashOfSecret(secret), row?.hash ?? '');
  if (!row || !proven) throw refused('no valid operator token');
  if (row.expiresAtMs <= clock.now()) throw refused(`a token, "${row.name}", that has expired`);
  return { name: row.name, scope: row.scope, authorization };
}

/**
 * Throws FORBIDDEN unless the operator may make a call.
 * @param needed undefined where the cluster key alone opens it: for every call that does not say otherwise
 */
export function requireScope({ name, scope }: Operator, needed: OperatorScope | undefined): void {
  if (needed === undefined) {
    throw new OramaError('FORBIDDEN', 'this is for holders of the cluster key, not for tokens', {
      hint: 'run the command on a node of the cluster',
    });
  }
  if (needed === 'operator' && scope === 'viewer') {
    throw new OramaError('FORBIDDEN', `the token "${name}" may only read`, {
      hint: 'use one of scope operator: on a node, orama token create <name> --scope operator',
    });
  }
}

function refused(with_: string): OramaError {
  return new OramaError('UNAUTHORIZED', `the call came with ${with_}`, {
    hint: 'make a token on a node of the cluster: orama token create <name>',
  });
}
