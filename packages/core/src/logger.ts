import { writeSync } from 'node:fs';
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

const STDOUT = 1;
/** A reader that lets its pipe fill up is waited for this often, a millisecond each, before the line is given up. */
const PATIENCE = 1_000;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes a line to stdout and never throws. pino's own destination tries for ever once nobody reads stdout any more,
 * and such a process could not be ended by SIGTERM.
 */
function writeLine(line: string): void {
  let rest = Buffer.from(line);
  for (let attempt = 0; rest.length > 0 && attempt < PATIENCE; attempt += 1) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

/**
 * Makes the process's logger: JSON lines on stdout, constant messages, context in fields
 * (`svc node ns room peer track alloc lease op durMs reason err`).
 */
export function createLogger(options: { svc: string; level?: string; node?: string; ns?: string }): Logger {
  const { level = 'info', ...base } = options;
  return pino(
    {
      level,
      base: { ...base, pid: process.pid },
      redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    { write: writeLine },
  );
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
