import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Fields that must never reach a log, wherever a log call might put them. */
const REDACTED = [
  'secret',
  'secrets',
  'password',
  'credential',
  'apiKey',
  'api_key',
  'token',
  'authorization',
  'resumeToken',
  'key',
];

/**
 * Makes the process's logger: JSON lines on stdout, constant messages, context in fields
 * (`svc node ns room peer track alloc lease op durMs reason err`).
 */
export function createLogger(options: { svc: string; level?: string; node?: string; ns?: string }): Logger {
  const { level = 'info', ...base } = options;
  return pino({
    level,
    base: { ...base, pid: process.pid },
    redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
