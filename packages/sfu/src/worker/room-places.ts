import type { WorkerReport } from './worker-handle.ts';

/** A room that its worker does not know (yet, or any more) is remembered for so long. */
const UNKNOWN_MS = 15_000;
/** With the least busy worker above this share of its core, it is time for another. */
const FULL_UTILIZATION = 0.6;

/** What placing needs of a worker. */
type Candidate = { readonly id: number; readonly report: Pick<WorkerReport, 'rooms' | 'peers' | 'busy' | 'eventLoop'> };

/** Which worker holds which room. A room is on one worker, for as long as that worker has it. */
export class RoomPlaces {
  readonly #places = new Map<string, { worker: number; seenMs: number }>();

  /** The worker of a room, chosen now if it has none: the least busy one, and among those the one with the fewest peers. */
  place(room: string, workers: readonly Candidate[], nowMs: number): number {
    const known = this.#places.get(room);
    const worker = known && workers.some(({ id }) => id === known.worker) ? known.worker : leastBusy(workers).id;
    this.#places.set(room, { worker, seenMs: nowMs });
    return worker;
  }

  /** The worker of a room; undefined when no worker has it. */
  find(room: string): number | undefined {
    return this.#places.get(room)?.worker;
  }

  /** Learns from the workers' reports which rooms are there, and forgets the others after a while. */
  learn(workers: readonly Candidate[], nowMs: number): void {
    for (const { id, report } of workers)
      for (const room of report.rooms) this.#places.set(room, { worker: id, seenMs: nowMs });
    const ids = new Set(workers.map(({ id }) => id));
    for (const [room, { worker, seenMs }] of this.#places)
      if (!ids.has(worker) || nowMs - seenMs > UNKNOWN_MS) this.#places.delete(room);
  }

  /** Whether every worker has as much to do as one should have, or turns peers away. */
  isFull(workers: readonly Candidate[]): boolean {
    const { busy, eventLoop } = leastBusy(workers).report;
    return busy || eventLoop.utilization > FULL_UTILIZATION;
  }
}

function leastBusy(workers: readonly Candidate[]): Candidate {
  const rank = ({ report }: Candidate) => [
    Number(report.busy),
    Math.round(report.eventLoop.utilization * 5),
    report.peers,
  ];
  const [first] = [...workers].sort((a, b) => compare(rank(a), rank(b)) || a.id - b.id);
  if (!first) throw new Error('there is no worker');
  return first;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) if (value !== b[i]) return value - (b[i] ?? 0);
  return 0;
}
