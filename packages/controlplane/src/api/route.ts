import { formatIssues, type InternalReply, OramaError } from '@orama/core';
import type { z } from 'zod';
import type { OperationContext } from '../operations/context.ts';

/** One call of the API, below its prefix. */
export interface Call {
  context: OperationContext;
  /** Segments of the path that the pattern captured, decoded. */
  subjects: string[];
  query: URLSearchParams;
  body: string;
}

export type Route = [method: string, pattern: RegExp, answer: (call: Call) => Promise<InternalReply>];

/** Input as the schema has it. Throws INVALID_REQUEST with every problem and its path. */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new OramaError('INVALID_REQUEST', `${what} cannot be used:\n${formatIssues(parsed.error)}`);
}

/** Parses a JSON body; none counts as an empty object. Throws INVALID_REQUEST with every problem and its path. */
export function parseBody<S extends z.ZodType>(schema: S, body: string): z.output<S> {
  let value: unknown;
  try {
    value = body === '' ? {} : JSON.parse(body);
  } catch (thrown) {
    throw new OramaError('INVALID_REQUEST', 'the body is not JSON', { cause: thrown });
  }
  return parseInput(schema, value, 'the body');
}
