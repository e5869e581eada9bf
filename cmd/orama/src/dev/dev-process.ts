import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { backoffMs, type Clock, systemClock, type Timer } from '@orama/core';
import { identify, isRunning, signalProcess, waitUntilGone } from '../process-identity.ts';
import { fatalReason } from './logs.ts';
import type { ProcessIdentity } from './state.ts';

const LOG_MAX_BYTES = 20 * 1024 * 1024;
/** One that lived so long was well: its next restart is immediate again. */
const STEADY_MS = 10_000;
const MAX_BACKOFF_MS = 3_000;

/** A program that the supervisor keeps running. */
export interface DevProgram {
  /** What it is, for messages: `the controlplane of node-1`. */
  name: string;
  command: readonly string[];
  /** Working directory. */
  folder: string;
  logFile: string;
}

interface DevProcessEvents {
  /** A process was started, for the first time or again. */
  started(process: ProcessIdentity): void;
  /** A process ended without being told to: with which code or signal, and why if it said so in its log. */
  died(how: string): void;
}

/** Keeps a program running: starts it again at once when it ends, with growing pauses when it keeps ending. */
export class DevProcess {
  readonly program: DevProgram;
  readonly #events: DevProcessEvents;
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #restart: Timer | undefined;
  #startedAt = 0;
  #startedWallMs = 0;
  #failures = 0;
  #lastEnd = '';
  #stopping = false;

  constructor(program: DevProgram, events: DevProcessEvents, clock: Clock = systemClock) {
    this.program = program;
    this.#events = events;
    this.#clock = clock;
  }

  /** How often it ended too early, in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** How it last ended, and why. */
  get lastEnd(): string {
    return this.#lastEnd;
  }

  start(): void {
    if (this.#stopping) return;
    const [program = '', ...args] = this.program.command;
    const log = openLog(this.program.logFile);
    // A session of its own: Ctrl-C in the terminal reaches the supervisor only, which ends the nodes in order.
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], cwd: this.program.folder });
    closeSync(log);
    this.#child = child;
    this.#startedAt = this.#clock.monotonic();
    this.#startedWallMs = this.#clock.now();
    let ended = false;
    const onEnd = (how: string) => {
      if (ended) return;
      ended = true;
      this.#onEnd(how);
    };
    child.once('error', (error) => onEnd(error.message));
    child.once('exit', (code, signal) => onEnd(signal ? `signal ${signal}` : `exit code ${code}`));
    this.#identity = child.pid === undefined ? undefined : (identify(child.pid) ?? undefined);
    if (this.#identity) this.#events.started(this.#identity);
  }

  /** Ends it: SIGTERM, and SIGKILL after `timeoutMs`. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    const identity = this.#identity;
    if (!identity || !isRunning(identity)) return;
    signalProcess(identity, 'SIGTERM');
    if ((await waitUntilGone([identity], timeoutMs)).length > 0) this.kill();
    await waitUntilGone([identity], 5_000);
  }

  kill(): void {
    this.#stopping = true;
    if (this.#identity) signalProcess(this.#identity, 'SIGKILL');
  }

  #onEnd(how: string): void {
    this.#child?.removeAllListeners();
    this.#child = undefined;
    if (this.#stopping) return;
    const steady = this.#clock.monotonic() - this.#startedAt >= STEADY_MS;
    this.#failures = steady ? 0 : this.#failures + 1;
    const reason = fatalReason(this.program.logFile, this.#startedWallMs);
    this.#lastEnd = reason === undefined ? how : `${how}: ${reason}`;
    this.#events.died(this.#lastEnd);
    const pauseMs = this.#failures <= 1 ? 0 : backoffMs(this.#failures - 2, 200, MAX_BACKOFF_MS);
    this.#restart = this.#clock.after(pauseMs, () => this.start());
  }
}

function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_MAX_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}
