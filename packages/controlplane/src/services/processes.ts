import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, describeError, type Failpoints, type Logger, OramaError, systemClock } from '@orama/core';
import { findUnits, isRunning, UNIT_NAME, unitEnvironment } from './find-units.ts';
import { openLogFile } from './log-file.ts';
import { readBootId, readProcess } from './proc.ts';
import { type RunFile, removeRunFile, writeRunFile } from './run-file.ts';
import type { ServiceExit, ServiceManager, ServiceSpec, ServiceState } from './service-manager.ts';
import { Watchdog } from './watchdog.ts';

/** How often processes are looked at. Ends of our own children are told at once; others are seen at the next look. */
const WATCH_MS = 200;
const WATCHDOG_MS = 2_000;
const HUNG = 'a kill, because it did not answer';
/** Units get this search path and nothing else of our environment, as systemd units do. */
const UNIT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Options {
  /** The node's data; units use `run/` and `logs/` below it. */
  dataDir: string;
  logger: Logger;
  failpoints?: Failpoints;
  clock?: Clock;
  /** How often units are asked for their health. */
  watchdogMs?: number;
}

/**
 * Units as detached child processes: for one machine without systemd. They survive a crash of the controlplane and are
 * found again by their run files, or by the mark in their environment when the crash came before the file was written.
 * Only one manager may be open on a data directory.
 */
export class ProcessServices implements ServiceManager {
  readonly #runDir: string;
  readonly #logDir: string;
  readonly #logger: Logger;
  readonly #failpoints: Failpoints | undefined;
  readonly #clock: Clock;
  readonly #units = new Map<string, RunFile>();
  /** Units whose end we are told with its exit code: started by this very process. */
  readonly #children = new WeakSet<RunFile>();
  readonly #hung = new WeakSet<RunFile>();
  /** When units that were told to end are killed, by the monotonic clock: the time may jump meanwhile. */
  readonly #killAtMs = new WeakMap<RunFile, number>();
  readonly #listeners = new Set<(exit: ServiceExit) => void>();
  #bootId = '';
  #watch: { cancel(): void } | undefined;
  #watchdog: Watchdog<RunFile> | undefined;
  #looking = false;

  private constructor(options: Options) {
    this.#runDir = join(options.dataDir, 'run');
    this.#logDir = join(options.dataDir, 'logs');
    this.#logger = options.logger;
    this.#failpoints = options.failpoints;
    this.#clock = options.clock ?? systemClock;
  }

  /** Opens the manager and adopts every unit of this data directory that is still running. */
  static async open(options: Options): Promise<ProcessServices> {
    const services = new ProcessServices(options);
    await services.#adopt();
    services.#watch = services.#clock.every(WATCH_MS, () => void services.#look());
    const { watchdogMs = WATCHDOG_MS } = options;
    const running = () => [...services.#units.values()].filter(({ stopByMs }) => stopByMs === undefined);
    services.#watchdog = new Watchdog(services.#clock, watchdogMs, running, (run) => void services.#killHung(run));
    return services;
  }

  /** Stops watching. The units keep running. */
  close(): void {
    this.#watch?.cancel();
    this.#watchdog?.close();
    this.#listeners.clear();
  }

  async list(): Promise<ServiceState[]> {
    await this.#look();
    return [...this.#units.values()].map((run) => ({
      unit: run.unit,
      phase: run.stopByMs === undefined ? 'running' : 'stopping',
      configDigest: run.configDigest,
      startedAtMs: run.startedAtMs,
    }));
  }

  async start(spec: ServiceSpec): Promise<void> {
    const [program, ...args] = spec.command;
    if (!UNIT_NAME.test(spec.unit) || program === undefined)
      throw new Error(`"${spec.unit}" cannot be started as a unit`);
    if (this.#units.has(spec.unit)) return;
    const log = await openLogFile(join(this.#logDir, `${spec.unit}.log`));
    try {
      const child = spawn(program, args, {
        cwd: '/',
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: UNIT_PATH, ...unitEnvironment(this.#runDir, spec) },
      });
      await once(child, 'spawn');
      child.unref();
      const pid = child.pid as number;
      this.#failpoints?.hit('service:spawned');
      const run: RunFile = {
        unit: spec.unit,
        pid,
        startTimeTicks: readProcess(pid)?.startTimeTicks ?? 0,
        bootId: this.#bootId,
        command: [...spec.command],
        configDigest: spec.configDigest,
        startedAtMs: this.#clock.now(),
        health: spec.health,
      };
      this.#units.set(spec.unit, run);
      this.#children.add(run);
      const ended = (how: string) => void this.#ended(run, how);
      if (child.exitCode !== null || child.signalCode !== null) ended(howEnded(child.exitCode, child.signalCode));
      else child.once('exit', (code, signal) => ended(howEnded(code, signal)));
      if (this.#units.get(spec.unit) === run) await writeRunFile(this.#runDir, run);
      // It may have ended while its file was being written.
      if (this.#units.get(spec.unit) !== run) await removeRunFile(this.#runDir, spec.unit);
      this.#logger.info({ unit: spec.unit, childPid: pid }, 'service started');
    } catch (thrown) {
      throw new OramaError('INTERNAL', `${spec.unit} cannot be started: ${describeError(thrown)}`, { cause: thrown });
    } finally {
      await log.close();
    }
  }

  async stop(unit: string, deadlineMs: number): Promise<void> {
    const run = this.#units.get(unit);
    if (!run || run.stopByMs !== undefined) return;
    run.stopByMs = this.#clock.now() + deadlineMs;
    run.stopWithinMs = deadlineMs;
    this.#killAtMs.set(run, this.#clock.monotonic() + deadlineMs);
    try {
      await writeRunFile(this.#runDir, run);
    } catch (thrown) {
      // On a full disk too it has to say goodbye to its clients. The file is for the next controlplane only.
      this.#logger.warn({ unit, err: thrown }, 'the run file of a service that is to end cannot be written');
    }
    await this.#signal(run, 'SIGTERM');
    this.#logger.info({ unit, childPid: run.pid }, 'service told to stop');
  }

  async forget(unit: string): Promise<void> {
    if (this.#units.has(unit)) return;
    const log = join(this.#logDir, `${unit}.log`);
    await Promise.all([rm(log, { force: true }), rm(`${log}.1`, { force: true })]);
  }

  async restartsOf(): Promise<null> {
    return null;
  }

  onExit(listener: (exit: ServiceExit) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops every unit and resolves when none is left; what does not end by itself is killed at the deadline. */
  async stopAll(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#units.keys()].map((unit) => this.stop(unit, deadlineMs)));
    while (this.#units.size > 0) {
      await new Promise<void>((resolve) => {
        const off = this.onExit(() => done());
        const timer = setTimeout(() => done(), WATCH_MS);
        const done = () => {
          off();
          clearTimeout(timer);
          resolve();
        };
      });
      await this.#look();
    }
  }

  async #adopt(): Promise<void> {
    await mkdir(this.#runDir, { recursive: true, mode: 0o700 });
    await mkdir(this.#logDir, { recursive: true, mode: 0o700 });
    this.#bootId = await readBootId();
    const { known, unrecorded, gone } = await findUnits(this.#runDir);
    for (const unit of gone) await removeRunFile(this.#runDir, unit);
    for (const run of unrecorded) await writeRunFile(this.#runDir, run);
    for (const run of [...known, ...unrecorded]) this.#units.set(run.unit, run);
    for (const run of this.#units.values()) {
      const { stopByMs, stopWithinMs = Number.POSITIVE_INFINITY } = run;
      const leftMs = (stopByMs ?? 0) - this.#clock.now();
      if (stopByMs !== undefined) this.#killAtMs.set(run, this.#clock.monotonic() + Math.min(leftMs, stopWithinMs));
      this.#logger.info({ unit: run.unit, childPid: run.pid }, 'running service adopted');
    }
  }

  /** Sees who is gone, and kills who was told to end and did not. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const run of [...this.#units.values()]) {
        // Of our own children we are told.
        const isGone = !this.#children.has(run) && !isRunning(run, this.#bootId);
        if (isGone) await this.#ended(run, 'unknown');
        else if (this.#clock.monotonic() >= (this.#killAtMs.get(run) ?? Number.POSITIVE_INFINITY))
          await this.#signal(run, 'SIGKILL');
      }
    } catch (thrown) {
      this.#logger.warn({ err: thrown }, 'looking at the services failed');
    } finally {
      this.#looking = false;
    }
  }

  async #ended(run: RunFile, how: string): Promise<void> {
    if (this.#units.get(run.unit) !== run) return;
    this.#units.delete(run.unit);
    await removeRunFile(this.#runDir, run.unit).catch(() => {});
    const exit = {
      unit: run.unit,
      uptimeMs: this.#clock.now() - run.startedAtMs,
      wanted: run.stopByMs !== undefined,
      how: this.#hung.has(run) ? HUNG : how,
    };
    this.#logger[exit.wanted ? 'info' : 'warn'](
      { unit: exit.unit, reason: exit.how, durMs: exit.uptimeMs },
      'service ended',
    );
    for (const listener of this.#listeners) listener(exit);
  }

  async #killHung(run: RunFile): Promise<void> {
    this.#logger.warn({ unit: run.unit, childPid: run.pid }, 'service does not answer and is killed');
    this.#hung.add(run);
    await this.#signal(run, 'SIGKILL');
  }

  /** Signals a process only after checking that it is still the one we started: its pid may be somebody else's by now. */
  async #signal(run: RunFile, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!isRunning(run, this.#bootId)) return;
    try {
      // A unit leads its own process group; killing takes along whatever it started.
      process.kill(signal === 'SIGKILL' ? -run.pid : run.pid, signal);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  }
}

function howEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/**
 * Stops every service that controlplanes left running on a data directory, and resolves when none is left.
 * For the end of a development cluster, after its controlplanes are gone: a living one would start them again.
 */
export async function stopAllServices(dataDir: string, deadlineMs: number, logger: Logger): Promise<void> {
  const services = await ProcessServices.open({ dataDir, logger });
  await services.stopAll(deadlineMs);
  services.close();
}
