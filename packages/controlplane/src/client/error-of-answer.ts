import { OramaError } from '@orama/core';
import { ERROR_STATUS, type ErrorCode, errorBodySchema } from '@orama/protocol';

/** The error that another of our processes answered with. */
export function errorOfAnswer(status: number, answer: string): OramaError {
  try {
    const { error } = errorBodySchema.parse(JSON.parse(answer));
    const code = (error.code in ERROR_STATUS ? error.code : 'INTERNAL') as ErrorCode;
    return new OramaError(code, error.message, {
      retryable: error.retryable,
      ...(error.hint !== undefined && { hint: error.hint }),
      ...(error.details !== undefined && { details: error.details }),
    });
  } catch {
    return new OramaError('INTERNAL', `the controlplane answered ${status} without an explanation`);
  }
}
