import { describeError } from '@orama/core';
import type { CoreServiceStatus } from '@orama/store';
import type { Task } from '../reconcile/task.ts';
import type { CoreTask } from './core-service.ts';

const RECHECK_MS = 500;

/** Looks whether this node's rqlited serves. It runs on its own: a controlplane that ends or is upgraded must not end it. */
export class StoreServiceTask implements Task, CoreTask {
  readonly name = 'core:rqlite';
  readonly #probe: () => Promise<string | null>;
  readonly #onChange: () => void;
  readonly #ready = Promise.withResolvers<void>();
  #status: CoreServiceStatus = { service: 'rqlite', healthy: false, reason: 'not looked at yet' };

  /**
   * @param probe null when it serves, else why not
   * @param onChange told when it began to serve, or no longer does
   */
  constructor(probe: () => Promise<string | null>, onChange: () => void) {
    this.#probe = probe;
    this.#onChange = onChange;
  }

  get status(): CoreServiceStatus {
    return this.#status;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  async report(): Promise<number | null> {
    const before = this.#status;
    const reason = await this.#probe().catch(describeError);
    this.#status = { service: 'rqlite', healthy: reason === null, ...(reason === null ? {} : { reason }) };
    if (reason === null) this.#ready.resolve();
    if (before.healthy !== this.#status.healthy || before.reason !== this.#status.reason) this.#onChange();
    return reason === null ? null : RECHECK_MS;
  }
}
