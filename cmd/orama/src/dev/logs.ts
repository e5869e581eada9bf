import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { supervisorLogFile } from './detach.ts';
import type { DevState } from './state.ts';

/** One log of the local cluster. */
export interface LogFile {
  /** `<node>/<unit>`, or `supervisor`. */
  name: string;
  file: string;
}

const TAIL_BYTES = 256 * 1024;

/** Every log there is; with `unit` those whose node, unit or `<node>/<unit>` is named so. */
export function findLogs(dataDir: string, state: DevState, unit?: string): LogFile[] {
  const logs: LogFile[] = state.nodes.flatMap((node) =>
    listFolder(dirname(node.logFile))
      .filter((file) => file.endsWith('.log'))
      .sort()
      .map((file) => ({ name: `${node.id}/${basename(file, '.log')}`, file: join(dirname(node.logFile), file) })),
  );
  const supervisor = supervisorLogFile(dataDir);
  if (statSync(supervisor, { throwIfNoEntry: false })) logs.push({ name: 'supervisor', file: supervisor });
  if (unit === undefined) return logs;
  const short = (name: string) => name.replace(/^orama-(namespace-)?/, '');
  return logs.filter(({ name }) => {
    const [node = '', own = ''] = name.split('/');
    return [name, node, own, short(own), `${node}/${short(own)}`].includes(unit);
  });
}

/** The last `count` lines of a file, and where the file ended. */
export function tail(file: string, count: number): { lines: string[]; end: number } {
  const end = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const start = Math.max(0, end - TAIL_BYTES);
  const lines = readRange(file, start, end)
    .split('\n')
    .slice(start > 0 ? 1 : 0)
    .filter((line) => line !== '');
  return { lines: count === 0 ? [] : lines.slice(-count), end };
}

const fatalLineSchema = z.object({
  level: z.literal(60),
  time: z.string(),
  msg: z.string(),
  err: z.object({ message: z.string() }).optional(),
});

/** Why a process ended, in the words of the last fatal line of its log since `sinceMs`; undefined when there is none. */
export function fatalReason(file: string, sinceMs: number): string | undefined {
  for (const line of tail(file, 20).lines.reverse()) {
    const { data } = fatalLineSchema.safeParse(parseLine(line));
    if (data && Date.parse(data.time) >= sinceMs) return data.err?.message ?? data.msg;
  }
  return undefined;
}

/** A log line as a value; a process that was killed may have left half of one. */
function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Follows one file: every call answers the whole lines that came since the last one. */
export class LogFollower {
  readonly #file: string;
  #offset: number;

  constructor(file: string, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  read(): string[] {
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    // A smaller file is a new one: the old log was set aside.
    if (size < this.#offset) this.#offset = 0;
    const text = readRange(this.#file, this.#offset, Math.min(size, this.#offset + TAIL_BYTES));
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    this.#offset += Buffer.byteLength(whole);
    return whole.split('\n').slice(0, -1);
  }
}

function readRange(file: string, start: number, end: number): string {
  if (end <= start) return '';
  const buffer = Buffer.alloc(end - start);
  const handle = openSync(file, 'r');
  try {
    return buffer.subarray(0, readSync(handle, buffer, 0, buffer.length, start)).toString('utf8');
  } finally {
    closeSync(handle);
  }
}

function listFolder(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false }) ? readdirSync(folder) : [];
}
