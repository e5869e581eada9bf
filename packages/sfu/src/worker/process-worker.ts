import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { extname } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  type Clock,
  type InternalReply,
  type InternalRequest,
  type Logger,
  OramaError,
  processPort,
  Rpc,
  type Timer,
} from '@orama/core';
import type { SfuConfig } from '@orama/protocol';
import type { WorkerSettings } from './sfu-worker.ts';
import type { Upgrade, WorkerHandle, WorkerReport } from './worker-handle.ts';

/** The file beside this one, as it is: a source or a build. */
const SUFFIX = extname(import.meta.url);
const ENTRY = new URL(`./worker-process${SUFFIX}`, import.meta.url);
/** A source imports sources, also where the program that runs it (a test) was not told so. */
const SOURCE_CONDITION = '--conditions=source';

const REPORT_MS = 1_000;
/** One that does not run by then hangs. */
const START_MS = 30_000;
/** Reports that may be waited for at once. Counted instead of timed, so that a machine that slept may go on. */
const UNANSWERED_MAX = 5;

/** What the other process offers. */
export type WorkerMethods = {
  start(settings: WorkerSettings): Promise<WorkerReport>;
  report(): WorkerReport;
  request(request: PlainRequest): Promise<InternalReply | undefined>;
  useTurn(turn: SfuConfig['turn']): void;
  metrics(): Promise<object[]>;
  drain(timeoutMs: number): void;
  close(): Promise<void>;
};
type WorkerRpc = Rpc<WorkerMethods>;

/** A request as it can be sent: without the class of its query. */
export type PlainRequest = Omit<InternalRequest, 'query'> & { readonly query: string };

/** A worker in a process of its own. When that ends, its rooms end with it: `onEnd` is told, and clients join again. */
export class ProcessWorker implements WorkerHandle {
  readonly id: number;
  readonly #child: ChildProcess;
  readonly #rpc: WorkerRpc;
  readonly #logger: Logger;
  readonly #ended: Promise<unknown>;
  #report: WorkerReport;
  #watch: Timer | null = null;
  #unanswered = 0;
  #closing = false;

  private constructor(id: number, child: ChildProcess, rpc: WorkerRpc, report: WorkerReport, logger: Logger) {
    this.id = id;
    this.#child = child;
    this.#rpc = rpc;
    this.#report = report;
    this.#logger = logger;
    this.#ended = once(child, 'exit');
  }

  /**
   * Starts the process. Its log lines go where ours go; it ends when we end.
   * @param onEnd called once when it ended without having been closed
   * @throws OramaError when it cannot start
   */
  static async start(
    settings: WorkerSettings,
    logger: Logger,
    clock: Clock,
    onEnd: (worker: ProcessWorker) => void,
  ): Promise<ProcessWorker> {
    const inherited = process.execArgv;
    const child = fork(ENTRY, [], {
      serialization: 'advanced',
      execArgv: SUFFIX !== '.ts' || inherited.includes(SOURCE_CONDITION) ? inherited : [...inherited, SOURCE_CONDITION],
    });
    const rpc: WorkerRpc = new Rpc(processPort(child), {});
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(new OramaError('UNAVAILABLE', `worker ${settings.id} ended with ${signal ?? code}`)),
      );
    });
    failed.catch(() => {});
    const patience = clock.after(START_MS, () => child.kill('SIGKILL'));
    const report = await Promise.race([rpc.call('start', settings), failed])
      .catch((thrown: unknown) => {
        child.kill('SIGKILL');
        throw thrown;
      })
      .finally(() => patience.cancel());
    const worker = new ProcessWorker(settings.id, child, rpc, report, logger);
    worker.#watchOver(clock, onEnd);
    return worker;
  }

  get report(): WorkerReport {
    return this.#report;
  }

  accept(upgrade: Upgrade, socket: Duplex): void {
    this.#child.send({ kind: 'upgrade', upgrade }, socket as Socket, { keepOpen: false }, (thrown) => {
      if (thrown) socket.destroy();
    });
  }

  request(request: InternalRequest): Promise<InternalReply | undefined> {
    return this.#rpc.call('request', { ...request, query: request.query.toString() });
  }

  useTurn(turn: SfuConfig['turn']): void {
    this.#rpc.tell('useTurn', turn);
  }

  metrics(): Promise<object[]> {
    return this.#rpc.call('metrics');
  }

  drain(timeoutMs: number): void {
    this.#rpc.tell('drain', timeoutMs);
  }

  /** One that does not answer is ended as at any other time. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#rpc.call('close').catch(() => {});
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended;
  }

  #watchOver(clock: Clock, onEnd: (worker: ProcessWorker) => void): void {
    this.#watch = clock.every(REPORT_MS, () => this.#ask());
    void this.#ended.then(() => {
      this.#watch?.cancel();
      this.#rpc.end(new OramaError('UNAVAILABLE', `worker ${this.id} has ended`, { retryable: true }));
      if (!this.#closing) onEnd(this);
    });
  }

  #ask(): void {
    if (!this.#child.connected) return;
    if (this.#unanswered++ === UNANSWERED_MAX) {
      this.#logger.error({ worker: this.id }, 'worker does not answer and is ended');
      this.#child.kill('SIGKILL');
      return;
    }
    void this.#rpc.call('report').then(
      (report) => {
        this.#report = report;
        this.#unanswered = 0;
      },
      // As good as no answer.
      () => {},
    );
  }
}
