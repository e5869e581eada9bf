import { type TurnUsage, turnUsageSchema } from '@orama/protocol';
import { type NodeContext, turnSocketOf } from '../node-context.ts';
import type { Task } from '../reconcile/task.ts';
import { callTurn, TurnDownError, unlessUnknown } from '../turn-control.ts';
import { hourOf, planUsage, untilNextHour } from './usage-plan.ts';

/** How often the counters are looked at: a TURN server that is killed takes no more than this with it. */
const READ_MS = 1_000;
/** How often they are written while they move. */
const WRITE_MS = 5_000;

type UsageContext = Pick<NodeContext, 'config' | 'store' | 'clock' | 'failpoints' | 'load'>;

/**
 * Takes what this node's TURN server relayed into the hours of the `usage` table. The hours and the counters that they
 * were made from are written in one batch that is refused when another came between, so that every byte is counted once
 * whichever process dies when.
 */
export class UsageTask implements Task {
  readonly name = 'usage';
  readonly #context: UsageContext;
  /** The newest reading; not written yet, perhaps. */
  #last: { usage: TurnUsage; atMs: number } | null = null;
  /** When the counters in the store were last seen to be those of the server. */
  #sinceMs = 0;
  #writeAtMs = Number.NEGATIVE_INFINITY;
  #writtenHourMs = 0;

  constructor(context: UsageContext) {
    this.#context = context;
  }

  /** Makes the next run write what it reads: a tenant has ended. */
  hasten(): void {
    this.#writeAtMs = Number.NEGATIVE_INFINITY;
  }

  async report(): Promise<number | null> {
    const { clock, load } = this.#context;
    const usage = await this.#read();
    // What the server before this one had when it was last seen.
    if (this.#last && this.#last.usage.boot !== usage?.boot) await this.#write(this.#last);
    if (usage) load.note(usage);
    const nowMs = clock.now();
    this.#last = usage && { usage, atMs: nowMs };
    if (!this.#last) return READ_MS;
    if (clock.monotonic() >= this.#writeAtMs || hourOf(nowMs) !== this.#writtenHourMs) {
      await this.#write(this.#last);
      this.#writeAtMs = clock.monotonic() + WRITE_MS;
      this.#writtenHourMs = hourOf(nowMs);
    }
    return Math.min(READ_MS, untilNextHour(nowMs));
  }

  /** The counters of the server; null when there is none, or its engine does not count. */
  async #read(): Promise<TurnUsage | null> {
    try {
      return await unlessUnknown(callTurn(turnSocketOf(this.#context.config), turnUsageSchema, 'GET', '/usage'));
    } catch (thrown) {
      if (thrown instanceof TurnDownError) return null;
      throw thrown;
    }
  }

  async #write({ usage, atMs }: { usage: TurnUsage; atMs: number }): Promise<void> {
    const { config, store, failpoints } = this.#context;
    const before = await store.usage.turnRead(config.node);
    const plan = planUsage(config.node, before, usage, Math.max(this.#sinceMs, before?.readAtMs ?? atMs), atMs);
    if (plan) {
      failpoints.hit('usage:before-commit');
      await store.db.batch([...store.usage.setTurnRead(plan.read), ...plan.hours.map((hour) => store.usage.add(hour))]);
      failpoints.hit('usage:after-commit');
    }
    this.#sinceMs = atMs;
  }
}
