import type { Logger } from '@orama/core';
import { silentLogger } from '@orama/core/logger';

/** A logger that passes on errors, each in one line, and nothing else. */
export function errorLogger(onError: (line: string) => void): Logger {
  const logger = silentLogger.child({});
  logger.error = (fields: unknown, message?: string) => onError(`${message}: ${describe(fields)}`);
  logger.fatal = logger.error;
  // What is logged for one peer or room counts as well.
  logger.child = () => logger as never;
  return logger;
}

function describe(fields: unknown): string {
  const { err, ...rest } = fields as { err?: Error };
  return `${JSON.stringify(rest)} ${err?.stack ?? ''}`;
}
