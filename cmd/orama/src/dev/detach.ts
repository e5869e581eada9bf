import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { OramaError } from '@orama/core';
import { errorCodeSchema } from '@orama/protocol';
import { z } from 'zod';
import { Interrupted } from '../interrupt.ts';
import { ownCommand } from './programs.ts';
import { type DevSettings, type DevState, devStateSchema } from './state.ts';

/** What a detached supervisor tells the command that started it. */
const startEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('progress'), text: z.string() }),
  z.object({ type: z.literal('ready'), state: devStateSchema }),
  z.object({
    type: z.literal('failed'),
    code: errorCodeSchema.catch('INTERNAL'),
    message: z.string(),
    hint: z.string().optional(),
  }),
]);
type StartEvent = z.infer<typeof startEventSchema>;

/** What the starter says to let the supervisor live without it. */
const RELEASE = 'release';

/** A supervisor in a process of its own. It ends with its starter unless it is released. */
export interface DetachedCluster {
  state: DevState;
  /** Lets it outlive this process. */
  release(): Promise<void>;
}

/** Tells the command that started this process detached; nothing when there is none, or when it has gone. */
export function tellStarter(event: StartEvent): void {
  if (process.connected) process.send?.(event, undefined, undefined, () => {});
}

/** The last word to the starter. Its channel would keep this process alive. */
export async function leaveStarter(event?: StartEvent): Promise<void> {
  if (!process.connected) return;
  if (event) await new Promise((resolve) => process.send?.(event, undefined, undefined, resolve));
  if (process.connected) process.disconnect();
}

/** Whether this process was started detached, and its starter listens. */
export function hasStarter(): boolean {
  return process.connected === true;
}

/** A signal that is aborted when the starter goes away without having released this process. */
export function starterGone(): AbortSignal {
  const controller = new AbortController();
  let released = false;
  process.on('message', (message) => {
    released = message === RELEASE;
  });
  process.on('disconnect', () => {
    if (!released) controller.abort(new Interrupted('SIGHUP'));
  });
  return controller.signal;
}

export function supervisorLogFile(dataDir: string): string {
  return join(dataDir, 'supervisor.log');
}

/** Command-line options that say these settings. */
function settingsArguments(settings: DevSettings): string[] {
  return [
    ['--loopback-prefix', settings.loopbackPrefix],
    ['--http-port', settings.httpPort],
    ['--nodes', settings.nodes],
    ['--store', settings.store],
    ['--log-level', settings.logLevel],
    ['--turn-lifetime', settings.turnLifetimeSec],
    ['--turn-nonce-lifetime', settings.turnNonceLifetimeSec],
    ...(settings.failpointDir === undefined ? [] : [['--failpoint-dir', settings.failpointDir]]),
  ]
    .flat()
    .map(String);
}

/**
 * Starts a supervisor in a session of its own, and resolves when its cluster is ready. When `signal` is aborted before,
 * or this process dies, the supervisor stops again. Rejects with the supervisor's own error when it cannot start.
 */
export async function startDetached(options: {
  dataDir: string;
  settings: DevSettings;
  signal: AbortSignal;
  onProgress: (text: string) => void;
}): Promise<DetachedCluster> {
  const { dataDir, settings, signal, onProgress } = options;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const [program, ...args] = ownCommand();
  const log = openSync(supervisorLogFile(dataDir), 'a', 0o600);
  const child = spawn(program, [...args, 'dev', 'start', '--data-dir', dataDir, ...settingsArguments(settings)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    cwd: '/',
  });
  closeSync(log);
  const stop = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const state = await new Promise<DevState>((resolve, reject) => {
      let failure: OramaError | undefined;
      child.on('message', (message) => {
        const event = startEventSchema.parse(message);
        if (event.type === 'progress') onProgress(event.text);
        else if (event.type === 'ready') resolve(event.state);
        else failure = new OramaError(event.code, event.message, event.hint === undefined ? {} : { hint: event.hint });
      });
      child.once('error', reject);
      child.once('exit', (code, killedBy) => {
        if (signal.aborted) reject(signal.reason);
        else
          reject(
            failure ??
              new OramaError('INTERNAL', `the supervisor ended while starting (${killedBy ?? `exit code ${code}`})`, {
                hint: `read ${supervisorLogFile(dataDir)}`,
              }),
          );
      });
    });
    return { state, release: () => release(child) };
  } finally {
    signal.removeEventListener('abort', stop);
    child.removeAllListeners();
    child.channel?.unref();
    child.unref();
  }
}

async function release(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => child.send(RELEASE, (error) => (error ? reject(error) : resolve())));
  child.disconnect();
}
