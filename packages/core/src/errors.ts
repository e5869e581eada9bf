import { ERROR_STATUS, type ErrorBody, type ErrorCode } from '@orama/protocol';

export interface ErrorOptions {
  /** The next step for whoever reads it. */
  hint?: string;
  retryable?: boolean;
  details?: Record<string, unknown>;
  cause?: unknown;
}

/**
 * The base of every error we raise: a stable `code`, a message that says what was being done,
 * and the next step. Never put a secret into any of its fields.
 */
export class OramaError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.details = options.details;
  }

  /** HTTP status of the code. */
  get status(): number {
    return ERROR_STATUS[this.code];
  }

  /** Body of a REST answer. */
  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        retryable: this.retryable,
        ...(this.hint === undefined ? {} : { hint: this.hint }),
        ...(this.details === undefined ? {} : { details: this.details }),
      },
    };
  }
}

/** The caller's to mend: bad input, missing rights, a conflict. */
export class UserError extends OramaError {}

/** The peer broke a protocol; it ends the peer, never the process. */
export class PeerError extends OramaError {}

/** Configuration that cannot be used; a process ends with exit code 2 on it. */
export class ConfigError extends OramaError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('INVALID_REQUEST', message, options);
  }
}

/** Any thrown value as an OramaError: ours unchanged, anything else INTERNAL with the original as cause. */
export function toOramaError(thrown: unknown, doing = 'handling the request'): OramaError {
  if (thrown instanceof OramaError) return thrown;
  return new OramaError('INTERNAL', `${doing} failed unexpectedly`, {
    cause: thrown,
    hint: 'the log of this process has the details',
  });
}

/** Short text of any thrown value, for logs and reports. */
export function describeError(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
