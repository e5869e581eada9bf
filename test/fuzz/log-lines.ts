import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** pino's level of an error. */
const ERROR = 50;

/**
 * Listens to what a server of ours writes.
 * @param onError each line that says that something is wrong with the server itself
 * @returns resolves when it has started; rejects when it ends before
 */
export function readLog(child: ChildProcess, onError: (line: string) => void): Promise<void> {
  const started = Promise.withResolvers<void>();
  child.once('exit', (code, signal) => started.reject(new Error(`the server ended with ${code ?? signal}`)));
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface(stream).on('line', (line) => {
      if (levelOf(line) >= ERROR) onError(line);
      if (line.includes('"msg":"started"')) started.resolve();
    });
  }
  return started.promise;
}

/** The level of a log line; whatever is no log line is an error. */
function levelOf(line: string): number {
  try {
    return (JSON.parse(line) as { level: number }).level;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
