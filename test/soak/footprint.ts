import { readdirSync } from 'node:fs';
import { memoryBytes } from '../support/memory.ts';

/** What a process holds. */
export interface Footprint {
  /** Heap and buffers after garbage collection. */
  memoryBytes: number;
  /** The whole process with the heaps of its threads, garbage and all. */
  residentBytes: number;
  /** Open files and sockets. */
  descriptors: number;
  /** Handles and timers that keep the process alive, and the server's timers on its clock. */
  resources: Record<string, number>;
  /** The metrics that count what lives. */
  metrics: Record<string, number>;
}

/** Metrics that are zero when nobody is there. */
const LIVING = /^turn_(allocations|relay_ports_bound|stream_connections|table_entries)\b/;

/** Measures this process. */
export function measure(metrics: ReadonlyMap<string, number>, pendingTimers: number | undefined): Footprint {
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  if (pendingTimers !== undefined) resources.serverTimers = pendingTimers;
  return {
    memoryBytes: memoryBytes(),
    residentBytes: process.memoryUsage.rss(),
    descriptors: readdirSync('/proc/self/fd').length,
    resources,
    metrics: Object.fromEntries([...metrics].filter(([series]) => LIVING.test(series))),
  };
}

/** What has grown from one quiet moment to another; empty when all is flat. Memory may grow by so much. */
export function growth(
  before: Footprint,
  after: Footprint,
  most: { memoryBytes: number; residentBytes: number },
): string[] {
  const grown: string[] = [];
  const more = (what: string, from: number, to: number, allowed = 0) => {
    if (to - from > allowed) grown.push(`${what}: ${from} before, ${to} after`);
  };
  more('memory', before.memoryBytes, after.memoryBytes, most.memoryBytes);
  more('resident memory', before.residentBytes, after.residentBytes, most.residentBytes);
  more('open files and sockets', before.descriptors, after.descriptors);
  for (const [name, count] of Object.entries(after.resources)) more(name, before.resources[name] ?? 0, count);
  for (const [series, value] of Object.entries(after.metrics)) more(series, 0, value);
  return grown;
}
