import { formatIssues, type InternalReply, OramaError } from '@orama/core';
import type { OperatorScope } from '@orama/protocol';
import type { z } from 'zod';
import type { OperationContext } from '../operations/context.ts';
import { actorOfToken } from '../operations/operator-tokens.ts';
import type { Operator } from './operator-access.ts';

/** One call of the API, below its prefix. */
export interface Call {
  context: OperationContext;
  /** Segments of the path that the pattern captured, decoded. */
  subjects: string[];
  query: URLSearchParams;
  body: string;
  /** Who calls with a token; null for holders of the cluster key. */
  operator: Operator | null;
}

/** A call without a scope is open to holders of the cluster key alone. */
export type Route = [
  method: string,
  pattern: RegExp,
  answer: (call: Call) => Promise<InternalReply>,
  scope?: OperatorScope,
];

/** How the audit trail names who makes a call. */
export function actorOf({ operator }: Call): string {
  return operator ? actorOfToken(operator.name) : 'operator';
}

/** Input as the schema has it. Throws INVALID_REQUEST with every problem and its path. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OramaError('INVALID_REQUEST', `${what} cannot be used:\n${formatIssues(parsed.error)}`);
}

/**
 * The JSON body of a call; none counts as an empty object. Whoever calls with a token is who asked, whatever the body says.
 * Throws INVALID_REQUEST with every problem and its path.
 */
export function parseBody<S extends z.ZodType<object>>(schema: S, call: Call): z.output<S> {
  const parsed = parseInput(schema, readJson(call.body), 'the body');
  return call.operator && 'requestedBy' in parsed ? { ...parsed, requestedBy: actorOf(call) } : parsed;
}

/** A JSON body; none counts as an empty object. Throws INVALID_REQUEST. */
export function readJson(body: string): unknown {
  try {
    return body === '' ? {} : JSON.parse(body);
  } catch (thrown) {
    throw new OramaError('INVALID_REQUEST', 'the body is not JSON', { cause: thrown });
  }
}
