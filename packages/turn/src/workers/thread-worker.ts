import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Clock, Rpc, type Timer } from '@orama/core';
import type { TurnTenant, TurnTenantLine, TurnTenantUsage } from '@orama/protocol';
import type { LeaseAnswer, LeaseRequest, Ledger } from '../allocation/ledger.ts';
import type { ServedCertificates } from '../certificates/secure-contexts.ts';
import type { WorkerSettings } from './turn-worker.ts';
import type { TenantMemory, WorkerHandle } from './worker-handle.ts';
import type { WorkerReport } from './worker-report.ts';

/** What a worker allocates lives long or not at all; Node's default would take three times as much. */
const YOUNG_GENERATION_MB = 12;

/** The file beside this one, as it is: a source or a build. */
const SUFFIX = extname(import.meta.url);
const ENTRY = new URL(`./worker-thread${SUFFIX}`, import.meta.url);
/** A source imports sources, also where the program that runs it (a test) was not told so. */
const SOURCE_CONDITION = '--conditions=source';

/** A thread is asked so often whether it is there. */
const ASK_MS = 3_000;
/** Questions that may be open at once. Counted instead of timed, so that a process that was stopped for long may go on. */
const UNANSWERED_MAX = 5;

/** What a thread is given at its start. */
export interface ThreadData {
  readonly settings: WorkerSettings;
  readonly logLevel: string;
}

/** What the main thread does for a worker's thread: the ledgers, by namespace. */
export interface LedgerMethods {
  open(namespace: string, request: LeaseRequest): LeaseAnswer | Promise<LeaseAnswer>;
  replacePort(namespace: string, id: number): number | undefined | Promise<number | undefined>;
  close(namespace: string, id: number): void | Promise<void>;
}

/**
 * A worker on a thread of its own. When the thread ends by itself, or answers nothing any more, that is a bug of ours and
 * thrown as one, so that the whole process ends: with one worker less the system would hash clients that are here to
 * workers who do not know them.
 */
export class ThreadWorker implements WorkerHandle {
  readonly #data: ThreadData;
  readonly #methods: LedgerMethods;
  readonly #clock: Clock;
  readonly #entry: URL;
  #certificates: ServedCertificates | undefined;
  #thread: { readonly worker: Worker; readonly rpc: Rpc<WorkerHandleMethods> } | undefined;

  #watch: Timer | undefined;
  #unanswered = 0;

  /** @param entry what the thread runs */
  constructor(data: ThreadData, ledgerOf: (namespace: string) => Ledger, clock: Clock, entry = ENTRY) {
    this.#data = data;
    this.#clock = clock;
    this.#entry = entry;
    this.#methods = {
      open: (namespace, request) => ledgerOf(namespace).open(request),
      replacePort: (namespace, id) => ledgerOf(namespace).replacePort(id),
      close: (namespace, id) => ledgerOf(namespace).close(id),
    };
  }

  get id(): number {
    return this.#data.settings.id;
  }

  async start(): Promise<void> {
    // V8's limits are refused for a thread, which has its own below.
    const inherited = process.execArgv.filter((option) => !option.startsWith('--max-'));
    const worker = new Worker(this.#entry, {
      name: `turn-${this.id}`,
      workerData: this.#data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      execArgv: SUFFIX !== '.ts' || inherited.includes(SOURCE_CONDITION) ? inherited : [SOURCE_CONDITION],
    });
    let reason: unknown;
    // An error is kept for the exit that follows it: Node loses what a listener throws while it empties the thread's port.
    worker.on('error', (thrown) => {
      reason = thrown;
    });
    worker.on('exit', (code) => this.#ended(reason ?? new Error(`exit code ${code}`)));
    const rpc = new Rpc<WorkerHandleMethods>(worker, this.#methods);
    this.#thread = { worker, rpc };
    if (this.#certificates !== undefined) rpc.tell('serve', this.#certificates);
    await rpc.call('start');
    this.#watch = this.#clock.every(ASK_MS, () => this.#ask(rpc));
  }

  own(addresses: readonly string[]): void {
    this.#thread?.rpc.tell('own', addresses);
  }

  attach(config: TurnTenant, memory: TenantMemory): Promise<void> {
    return this.#rpc.call('attach', config, memory);
  }

  detach(namespace: string): Promise<TurnTenantUsage | undefined> {
    return this.#rpc.call('detach', namespace);
  }

  serve(certificates: ServedCertificates): void {
    this.#certificates = certificates;
    this.#thread?.rpc.tell('serve', certificates);
  }

  drain(): void {
    this.#thread?.rpc.tell('drain');
  }

  async endAllocations(): Promise<void> {
    await this.#thread?.rpc.call('endAllocations');
  }

  report(): Promise<WorkerReport> {
    return this.#rpc.call('report');
  }

  takeLines(namespace: string): Promise<TurnTenantLine[]> {
    return this.#rpc.call('takeLines', namespace);
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#watch?.cancel();
    await thread.rpc.call('close');
    this.#thread = undefined;
    await thread.worker.terminate();
  }

  get #rpc(): Rpc<WorkerHandleMethods> {
    if (this.#thread === undefined) throw new Error(`worker ${this.id} is not running`);
    return this.#thread.rpc;
  }

  #ask(rpc: Rpc<WorkerHandleMethods>): void {
    if (this.#unanswered === UNANSWERED_MAX) throw new Error(`worker ${this.id} does not answer`);
    this.#unanswered++;
    void rpc.call('report').then(() => {
      this.#unanswered = 0;
    });
  }

  #ended(cause: unknown): void {
    if (this.#thread !== undefined) throw new Error(`worker ${this.id} ended by itself`, { cause });
  }
}

type WorkerHandleMethods = Omit<WorkerHandle, 'id'>;
