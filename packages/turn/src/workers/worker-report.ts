import type { EventLoopLoad } from '@orama/core';
import type { TurnTenantUsage } from '@orama/protocol';

/** Numbers by a label whose values are few and ours. */
export type Counts = Readonly<Record<string, number>>;

/** What a worker has done and has now. Plain data, so that it can be sent from a thread. */
export interface WorkerReport {
  readonly id: number;
  readonly allocations: number;
  /** Allocations by the client's transport: udp, tcp, tls. */
  readonly transports: Counts;
  /** Relay ports with an open socket, whatever became of their allocations. */
  readonly relayPortsBound: number;
  readonly allocationsOpened: number;
  readonly ended: Counts;
  /** By `<method> <code>`. */
  readonly replies: Counts;
  readonly authFailures: Counts;
  /** Peers refused, by rule. */
  readonly refusals: Counts;
  readonly drops: Counts;
  readonly streamConnections: number;
  readonly streamsClosed: Counts;
  /** Entries of the tables that clients fill. */
  readonly tables: Counts;
  readonly tenants: readonly WorkerTenant[];
  readonly eventLoop: EventLoopLoad;
}

/** A tenant in a worker: allocations that live there, and what it has done there since it was attached. */
interface WorkerTenant {
  readonly allocations: number;
  readonly usage: TurnTenantUsage;
}

/** The sum of the same counts of several workers. */
export function sumCounts(all: readonly Counts[]): Counts {
  const total: Record<string, number> = {};
  for (const counts of all) for (const [label, n] of Object.entries(counts)) total[label] = (total[label] ?? 0) + n;
  return total;
}
