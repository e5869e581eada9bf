import type { TurnTenantUsage, TurnUsage } from '@orama/protocol';
import type { RelayCounters, TurnReadRow, UsageRow } from '@orama/store';

const HOUR_MS = 3_600_000;
const NAMES = ['bytesIn', 'packetsIn', 'bytesOut', 'packetsOut', 'allocations'] as const;

/** Start of the hour that a moment is in. */
export function hourOf(ms: number): number {
  return ms - (ms % HOUR_MS);
}

/** Milliseconds until the next hour begins. */
export function untilNextHour(ms: number): number {
  return HOUR_MS - (ms % HOUR_MS);
}

/**
 * What a reading of a TURN server's counters adds to which hour, seen from the last one that was stored. Null when it
 * adds nothing, but for one reading an hour, so that what comes later is not taken for older than it is. Counters of
 * another boot began at 0. Where the hour changed between the two readings, the difference is
 * spread over the hours in proportion to time, to the byte. Pure.
 * @param sinceMs when the stored counters were last seen unchanged; of the stored read itself when not known
 */
export function planUsage(
  nodeId: string,
  before: TurnReadRow | null,
  seen: TurnUsage,
  sinceMs: number,
  nowMs: number,
): { hours: UsageRow[]; read: TurnReadRow } | null {
  const counters = Object.fromEntries(seen.tenants.map((tenant) => [tenant.namespace, countersOf(tenant)]));
  const known = before?.boot === seen.boot ? before.counters : {};
  const added = Object.entries(counters).flatMap(([namespace, now]) => {
    const difference = mapCounters((name) => Math.max(0, now[name] - (known[namespace]?.[name] ?? 0)));
    return NAMES.some((name) => difference[name] > 0) ? [{ namespace, difference }] : [];
  });
  const isCurrent = before?.boot === seen.boot && hourOf(before.readAtMs) === hourOf(nowMs);
  if (added.length === 0 && isCurrent) return null;
  return {
    hours: added.flatMap(({ namespace, difference }) => spread(namespace, difference, sinceMs, nowMs)),
    read: { nodeId, boot: seen.boot, counters, readAtMs: nowMs, sequence: (before?.sequence ?? 0) + 1 },
  };
}

function countersOf(tenant: TurnTenantUsage): RelayCounters {
  return {
    bytesIn: tenant.toPeerBytes,
    packetsIn: tenant.toPeerPackets,
    bytesOut: tenant.toClientBytes,
    packetsOut: tenant.toClientPackets,
    allocations: tenant.allocations,
  };
}

function mapCounters(value: (name: (typeof NAMES)[number]) => number): RelayCounters {
  return Object.fromEntries(NAMES.map((name) => [name, value(name)])) as unknown as RelayCounters;
}

/** Parts of `total` by hour; they add up to it. A clock that went back puts all of it into the present hour. */
function spread(namespace: string, total: RelayCounters, fromMs: number, toMs: number): UsageRow[] {
  const parts: UsageRow[] = [];
  let given = mapCounters(() => 0);
  for (let hourMs = hourOf(Math.min(fromMs, toMs)); hourMs < hourOf(toMs); hourMs += HOUR_MS) {
    const share = (hourMs + HOUR_MS - Math.max(fromMs, hourMs)) / (toMs - fromMs);
    const part = mapCounters((name) => Math.min(total[name] - given[name], Math.round(total[name] * share)));
    given = mapCounters((name) => given[name] + part[name]);
    parts.push({ namespace, hourMs, ...part });
  }
  parts.push({ namespace, hourMs: hourOf(toMs), ...mapCounters((name) => total[name] - given[name]) });
  return parts.filter((part) => NAMES.some((name) => part[name] > 0));
}
