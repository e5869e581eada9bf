import { type OramaError, toOramaError } from '@orama/core';
import { EXIT, exitCodeOf } from '@orama/protocol';
import { CommanderError } from 'commander';
import { Interrupted } from './interrupt.ts';

/** A failure as the command line tells it: code, message, next step and exit code. */
export interface Failure {
  code: string;
  message: string;
  hint: string | undefined;
  retryable: boolean;
  details: Record<string, unknown> | undefined;
  exitCode: number;
}

/** Any thrown value as a failure. `usageHint` is the next step after a malformed command line. */
export function describeFailure(thrown: unknown, usageHint: string): Failure {
  if (thrown instanceof CommanderError) {
    return {
      code: 'USAGE',
      message: thrown.message.replace(/^error: /, ''),
      hint: usageHint,
      retryable: false,
      details: undefined,
      exitCode: EXIT.usage,
    };
  }
  if (thrown instanceof Interrupted) {
    return {
      code: 'INTERRUPTED',
      message: `${thrown.message} before it was done`,
      hint: 'run the same command again',
      retryable: true,
      details: undefined,
      exitCode: EXIT.failed,
    };
  }
  const error = toOramaError(thrown, 'the command');
  const cause = error.code === 'INTERNAL' && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return {
    code: error.code,
    message: `${error.message}${cause}`,
    hint: error.hint,
    retryable: error.retryable,
    details: error.details,
    exitCode: exitCodeOfError(error),
  };
}

// Not reached is told apart from "reached, and it cannot now": both travel as 503.
function exitCodeOfError({ code, status }: OramaError): number {
  return code === 'UNAVAILABLE' ? EXIT.unreachable : exitCodeOf(status);
}
