import type { Clock, EventLoopMeter } from '@orama/core';
import type { TurnUsage } from '@orama/protocol';
import type { NodeLoad } from '@orama/store';

const WINDOW_MS = 60_000;
/** What a new window counts for, so that the load is that of some minutes. */
const WEIGHT = 1 / 3;

/** How busy this node is, for whoever places namespaces: small numbers, once a minute. */
export class LoadMeter {
  readonly #clock: Clock;
  readonly #loop: Pick<EventLoopMeter, 'load' | 'turn' | 'close'>;
  #beganAtMs: number;
  #relayedBytes = 0;
  #counted: { boot: string; bytes: number } | null = null;
  #load: NodeLoad | null = null;

  /** @param loop of this process: what keeps it waiting keeps the node's other processes waiting, too */
  constructor(clock: Clock, loop: Pick<EventLoopMeter, 'load' | 'turn' | 'close'>) {
    this.#clock = clock;
    this.#loop = loop;
    this.#beganAtMs = clock.monotonic();
  }

  /** Takes note of a reading of the TURN server's counters. */
  note({ boot, tenants }: TurnUsage): void {
    const bytes = tenants.reduce((sum, tenant) => sum + tenant.toPeerBytes + tenant.toClientBytes, 0);
    // What was relayed before the first reading was not relayed in this window. A tenant that goes takes its counters along.
    const before = this.#counted?.boot === boot ? this.#counted.bytes : this.#counted ? 0 : bytes;
    this.#relayedBytes += Math.max(0, bytes - before);
    this.#counted = { boot, bytes };
  }

  /** The load, once a minute; else null. */
  next(): NodeLoad | null {
    const windowMs = this.#clock.monotonic() - this.#beganAtMs;
    if (windowMs < WINDOW_MS) return null;
    this.#loop.turn();
    const now: NodeLoad = {
      relayedBytesPerSec: (this.#relayedBytes / windowMs) * 1000,
      loopDelayMs: this.#loop.load.delayP99Sec * 1000,
    };
    const before = this.#load ?? now;
    const mix = (name: keyof NodeLoad) => Math.round(before[name] + (now[name] - before[name]) * WEIGHT);
    this.#load = { relayedBytesPerSec: mix('relayedBytesPerSec'), loopDelayMs: mix('loopDelayMs') };
    this.#relayedBytes = 0;
    this.#beganAtMs += windowMs;
    return this.#load;
  }

  close(): void {
    this.#loop.close();
  }
}
