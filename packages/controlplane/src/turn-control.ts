import { describeError, OramaError } from '@orama/core';
import { ERROR_STATUS, type ErrorCode, errorBodySchema } from '@orama/protocol';
import type { z } from 'zod';
import { callHttp } from './http-call.ts';

/** There certainly is no TURN server on this node right now. */
export class TurnDownError extends OramaError {
  constructor(cause: unknown) {
    super('UNAVAILABLE', 'no TURN server runs on this node', {
      cause,
      retryable: true,
      hint: 'its controlplane starts it again; look into its log if that does not help',
    });
  }
}

/**
 * One call to the control socket of a node's TURN server (protocol/internal/turn-control.ts).
 * Throws TurnDownError, the server's own refusal, or UNAVAILABLE when it cannot be asked.
 */
export async function callTurn<S extends z.ZodType>(
  socketPath: string,
  schema: S,
  method: string,
  path: string,
  body?: object,
): Promise<z.output<S>> {
  try {
    const answer = await callHttp({ socketPath }, method, path, { ...(body && { body: JSON.stringify(body) }) });
    if (answer.status >= 300) throw refusalOf(answer.status, answer.body);
    return schema.parse(answer.body === '' ? undefined : JSON.parse(answer.body));
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') throw new TurnDownError(thrown);
    if (thrown instanceof OramaError) throw thrown;
    throw new OramaError('UNAVAILABLE', `the TURN server does not answer: ${describeError(thrown)}`, {
      cause: thrown,
      retryable: true,
    });
  }
}

/** The answer of a call, or null when the engine that runs has no such call. */
export async function unlessUnknown<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof OramaError && thrown.code === 'NOT_FOUND') return null;
    throw thrown;
  }
}

function refusalOf(status: number, body: string): OramaError {
  try {
    const { error } = errorBodySchema.parse(JSON.parse(body));
    const code = (error.code in ERROR_STATUS ? error.code : 'INTERNAL') as ErrorCode;
    return new OramaError(code, error.message, {
      retryable: error.retryable,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  } catch {
    return new OramaError('UNAVAILABLE', `the TURN server answered ${status}: ${body.slice(0, 300)}`);
  }
}
