import { describeError, OramaError } from '@orama/core';
import { type ControlplaneConfig, ERROR_STATUS, type ErrorCode, errorBodySchema } from '@orama/protocol';
import type { z } from 'zod';
import { callHttp } from './http-call.ts';
import { nodePaths } from './node-context.ts';

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
 * One call to the control socket of this node's TURN server (protocol/internal/turn-control.ts).
 * Throws TurnDownError, the server's own refusal, or UNAVAILABLE when it cannot be asked.
 */
export async function callTurn<S extends z.ZodType>(
  config: Pick<ControlplaneConfig, 'dataDir'>,
  schema: S,
  method: string,
  path: string,
  body?: object,
): Promise<z.output<S>> {
  const where = { socketPath: nodePaths(config.dataDir).turnControlSocket };
  try {
    const answer = await callHttp(where, method, path, { ...(body && { body: JSON.stringify(body) }) });
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
