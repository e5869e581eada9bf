import type { TrafficCounters } from '../relay/relay.ts';

/** Counts by a label whose values are few and ours. */
class LabelledCounter {
  readonly #counts = new Map<string, number>();

  add(label: string, count = 1): void {
    this.#counts.set(label, (this.#counts.get(label) ?? 0) + count);
  }

  get(label: string): number {
    return this.#counts.get(label) ?? 0;
  }

  entries(): IterableIterator<[string, number]> {
    return this.#counts.entries();
  }
}

/** What the server has done so far, for metrics. */
export class ServerCounters {
  /** Replies by `<method> <code>`, 200 for success. */
  readonly replies = new LabelledCounter();
  readonly authFailures = new LabelledCounter();
  /** Allocations ended, by reason. */
  readonly ended = new LabelledCounter();
  allocationsOpened = 0;
  /** Relay sockets that are open now. */
  relayPortsBound = 0;
  /** Traffic of allocations that have ended; that of live ones is with their relay ports. */
  readonly finishedTraffic: TrafficCounters = {
    toPeerPackets: 0,
    toPeerBytes: 0,
    toClientPackets: 0,
    toClientBytes: 0,
  };

  /** Adds what an ended allocation has moved. */
  addTraffic(traffic: Readonly<TrafficCounters>): void {
    this.finishedTraffic.toPeerPackets += traffic.toPeerPackets;
    this.finishedTraffic.toPeerBytes += traffic.toPeerBytes;
    this.finishedTraffic.toClientPackets += traffic.toClientPackets;
    this.finishedTraffic.toClientBytes += traffic.toClientBytes;
  }
}
