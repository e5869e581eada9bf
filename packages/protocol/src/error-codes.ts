import { z } from 'zod';

/**
 * Stable machine codes of every error that leaves a process, with the HTTP status they travel under.
 * The CLI derives its exit code from the status (see `exitCodeOf`).
 */
export const ERROR_STATUS = {
  INVALID_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  NAMESPACE_NOT_FOUND: 404,
  WEBRTC_NOT_ENABLED: 404,
  ROOM_NOT_FOUND: 404,
  PEER_NOT_FOUND: 404,
  SESSION_NOT_FOUND: 404,
  OPERATION_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  NAMESPACE_EXISTS: 409,
  NAMESPACE_BUSY: 409,
  NAMESPACE_HAS_WEBRTC: 409,
  ROOM_EXISTS: 409,
  ROOM_FULL: 409,
  CONFLICT: 409,
  PRECONDITION_FAILED: 412,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  PRECONDITION_REQUIRED: 428,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  SFU_UNAVAILABLE: 502,
  PORTS_EXHAUSTED: 409,
  NOT_ENOUGH_NODES: 409,
  CORE_NOT_READY: 503,
  STORE_UNAVAILABLE: 503,
  DRAINING: 503,
  UNAVAILABLE: 503,
  TIMEOUT: 504,
} as const;

/** One of the codes of `ERROR_STATUS`. */
export type ErrorCode = keyof typeof ERROR_STATUS;

export const errorCodeSchema = z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]);

/** Body of every REST error: `{"error": {code, message, hint?, retryable, details?}}`. */
export const errorBodySchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    retryable: z.boolean(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
});
export type ErrorBody = z.infer<typeof errorBodySchema>;

/** Exit codes of the CLI. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  notFound: 5,
  conflict: 6,
  timedOut: 7,
  /** Done, and something was found that needs attention before it breaks. */
  warnings: 8,
} as const;

/** The CLI exit code for an HTTP status. */
export function exitCodeOf(status: number): number {
  if (status === 400 || status === 413) return EXIT.usage;
  if (status === 401 || status === 403) return EXIT.refused;
  if (status === 404) return EXIT.notFound;
  if (status === 409) return EXIT.conflict;
  if (status === 504) return EXIT.timedOut;
  return EXIT.failed;
}
