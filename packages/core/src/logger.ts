import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { isJournal } from './config/journal.ts';

export type { Logger } from 'pino';

/** Fields that must never reach a log, wherever a log call might put them. */
const REDACTED = new Set([
  'secret',
  'secrets',
  'retiredSecrets',
  'password',
  'credential',
  'apiKey',
  'api_key',
  'token',
  'authorization',
  'resumeToken',
  'key',
]);
/** How deep in a log call's object such a field is looked for. */
const REDACTED_DEPTH = 3;

/**
 * The object of a log call with what must not be logged taken out: itself when there is nothing, a copy of what has to
 * change otherwise. pino's own redaction by paths with wildcards takes longer than all the rest of a line.
 */
function redact(fields: object, depth = REDACTED_DEPTH): Record<string, unknown> {
  let shownFields = fields as Record<string, unknown>;
  for (const [name, value] of Object.entries(fields)) {
    let shown = value;
    if (REDACTED.has(name)) shown = '[redacted]';
    else if (depth > 1 && typeof value === 'object' && value !== null) shown = redact(value, depth - 1);
    if (shown === value) continue;
    if (shownFields === fields) shownFields = copyOf(fields);
    shownFields[name] = shown;
  }
  return shownFields;
}

const STDOUT = 1;
/** A reader that lets its pipe fill up is waited for this often, a millisecond each, before the line is given up. */
const PATIENCE = 1_000;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** The same object or array once more; of an error also what is not enumerable. */
function copyOf(value: object): Record<string, unknown> {
  if (Array.isArray(value)) return [...value] as unknown as Record<string, unknown>;
  const copy = Object.create(Object.getPrototypeOf(value), Object.getOwnPropertyDescriptors(value));
  // The engine keeps it for the error that it made itself.
  if (value instanceof Error) Object.defineProperty(copy, 'stack', { value: value.stack });
  return copy;
}

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

/** By pino's levels, trace to fatal, what the journal takes from the head of a line (sd-daemon(3)): `journalctl -p warning`. */
const PRIORITIES: Readonly<Record<number, string>> = {
  10: '<7>',
  20: '<7>',
  30: '<6>',
  40: '<4>',
  50: '<3>',
  60: '<2>',
};

/** Where lines go: pino tells it the level of each beside the line. */
function destination() {
  if (!isJournal(STDOUT)) return { write: writeLine };
  return {
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 0,
    write(line: string) {
      writeLine((PRIORITIES[this.lastLevel] ?? '') + line);
    },
  };
}

/**
 * Makes the process's logger: JSON lines on stdout, constant messages, context in fields
 * (`svc node ns room peer track alloc lease op durMs reason err`).
 */
export function createLogger(options: { svc: string; level?: string; node?: string; ns?: string }): Logger {
  const { level = 'info', ...base } = options;
  const logger = pino(
    {
      level,
      base: { ...base, pid: process.pid },
      formatters: { log: (fields) => redact(fields) },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    destination(),
  );
  // Children inherit this too; what they are given is put in form once and seen by no formatter.
  const { child } = logger;
  logger.child = function redactedChild(this: Logger, fields, options) {
    return child.call(this, redact(fields), options);
  } as typeof child;
  return logger;
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
