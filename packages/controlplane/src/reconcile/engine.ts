import { type Clock, describeError, type Failpoints, type Logger, type Timer } from '@orama/core';
import { StoreUnavailableError } from '@orama/store';
import type { StoreWarnings } from './store-warnings.ts';
import type { Action, Task } from './task.ts';

export interface EngineOptions {
  clock: Clock;
  logger: Logger;
  failpoints: Failpoints;
  /** Every task runs at least this often. */
  intervalMs: number;
  warnings: StoreWarnings;
}

const LOG_AGAIN_MS = 60_000;

/** What a task did last; for status and tests. */
export interface TaskRun {
  ok: boolean;
  /** Actions of the last run, as `kind subject`. */
  applied: string[];
  error: string | null;
  durMs: number;
}

/** What a task would do, or why it cannot tell. */
export interface TaskPlan {
  task: string;
  actions: Action[];
  error: string | null;
}

/** Runs one task: by timer, by signal, never twice at a time; a signal during a run causes one more run. */
export class TaskRunner {
  readonly task: Task;
  readonly #options: EngineOptions;
  readonly #onRun: (runner: TaskRunner) => void;
  #timer: Timer | undefined;
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;
  #logged: { error: string; atMs: number } | null = null;
  readonly #first = Promise.withResolvers<void>();
  last: TaskRun | null = null;

  constructor(task: Task, options: EngineOptions, onRun: (runner: TaskRunner) => void = () => {}) {
    this.task = task;
    this.#options = options;
    this.#onRun = onRun;
  }

  /** Resolves when the task has run for the first time, with whatever result. */
  get firstRun(): Promise<void> {
    return this.#first.promise;
  }

  /** Runs the task now, or once more if it is running already. */
  wake(): void {
    if (this.#stopped) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    this.#running = this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** What a run would do now. Does nothing. */
  async plan(): Promise<TaskPlan> {
    const plan: TaskPlan = { task: this.task.name, actions: [], error: null };
    try {
      const actions = (await this.task.plan?.()) ?? [];
      plan.actions = actions.map(({ kind, subject, reason }) => ({ kind, subject, reason }));
    } catch (thrown) {
      plan.error = describeError(thrown);
    }
    return plan;
  }

  /** Resolves when the run in progress, if any, is over; no other begins, and no further action. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #run(): Promise<void> {
    let nextMs = this.#options.intervalMs;
    do {
      this.#again = false;
      nextMs = await this.#once();
    } while (this.#again && !this.#stopped);
    if (!this.#stopped) this.#timer = this.#options.clock.after(this.#delayOf(nextMs), () => this.wake());
  }

  /** Tasks that run by the interval do so at the same moments: what several of them look at is then looked at once. */
  #delayOf(nextMs: number): number {
    const { clock, intervalMs } = this.#options;
    return nextMs < intervalMs ? nextMs : intervalMs - (clock.monotonic() % intervalMs);
  }

  /** One run; returns the delay to the next. Never throws: a failure is logged and told by `last`. */
  async #once(): Promise<number> {
    const { clock, logger, failpoints, intervalMs } = this.#options;
    const startedAt = clock.monotonic();
    const run: TaskRun = { ok: true, applied: [], error: null, durMs: 0 };
    let recheckMs: number | null = null;
    try {
      for (const action of (await this.task.plan?.()) ?? []) {
        // What is to end with this controlplane must not be started by it.
        if (this.#stopped) break;
        failpoints.hit(`apply:${action.kind}:before`);
        try {
          await this.task.apply?.(action);
          run.applied.push(`${action.kind} ${action.subject}`);
          logger.info({ op: action.kind, subject: action.subject, reason: action.reason }, 'applied');
        } catch (thrown) {
          // The others do not depend on it: each is about another unit, namespace or file, or is planned again.
          this.#failed(run, thrown, { op: action.kind, subject: action.subject }, 'applying failed');
        }
        failpoints.hit(`apply:${action.kind}:after`);
      }
      recheckMs = await this.task.report();
    } catch (thrown) {
      this.#failed(run, thrown, { op: this.task.name }, 'task failed');
    }
    run.durMs = clock.monotonic() - startedAt;
    this.last = run;
    this.#first.resolve();
    this.#onRun(this);
    return recheckMs === null ? intervalMs : Math.min(recheckMs, intervalMs);
  }

  /** Notes a failure, and logs it: the same one again only once a minute. */
  #failed(run: TaskRun, thrown: unknown, fields: object, message: string): void {
    const { clock, logger, warnings } = this.#options;
    run.ok = false;
    run.error = describeError(thrown);
    if (thrown instanceof StoreUnavailableError) {
      warnings.unreachable(thrown);
      return;
    }
    if (this.#logged?.error === run.error && clock.monotonic() - this.#logged.atMs < LOG_AGAIN_MS) return;
    this.#logged = { error: run.error, atMs: clock.monotonic() };
    logger.warn({ ...fields, err: thrown }, message);
  }
}

/** The tasks of a node. Each has its own pace; all are woken together. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #runners = new Map<string, TaskRunner>();
  readonly #onRun: (runner: TaskRunner) => void;
  #stopped = false;

  constructor(options: EngineOptions, onRun: (runner: TaskRunner) => void = () => {}) {
    this.#options = options;
    this.#onRun = onRun;
  }

  /** Adds a task and runs it for the first time; resolves when that run is over. Nothing once the engine was stopped. */
  async add(task: Task): Promise<void> {
    if (this.#stopped) return;
    const runner = new TaskRunner(task, this.#options, this.#onRun);
    this.#runners.set(task.name, runner);
    runner.wake();
    await runner.firstRun;
  }

  /** Wakes all tasks, or those named. */
  wake(...names: string[]): void {
    for (const [name, runner] of this.#runners) if (names.length === 0 || names.includes(name)) runner.wake();
  }

  /** What each task would do now. Does nothing. */
  plans(): Promise<TaskPlan[]> {
    return Promise.all([...this.#runners.values()].map((runner) => runner.plan()));
  }

  /** The last run of each task. */
  status(): { name: string; last: TaskRun | null }[] {
    return [...this.#runners].map(([name, runner]) => ({ name, last: runner.last }));
  }

  /** Ends all runs after the action at hand; applied work stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
  }
}
