import { formatIssues, UserError } from '@orama/core';
import { USAGE_MAX_DAYS, type Usage, usageQuerySchema } from '@orama/protocol';
import type { RelayCounters, UsageRepository } from './repositories/usage.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOTHING: RelayCounters = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0, allocations: 0 };

/**
 * The hours of a namespace that a query asks for, as gateway and controlplane answer them.
 * Throws UserError INVALID_REQUEST naming the parameter that cannot be used.
 * @param query parameters as they came, `from` and `to`
 */
export async function reportUsage(
  usage: UsageRepository,
  namespace: string,
  query: unknown,
  nowMs: number,
): Promise<Usage> {
  const { fromMs, toMs } = parseRange(query, nowMs);
  const rows = await usage.listOf(namespace, fromMs, toMs);
  return {
    namespace,
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    hours: rows.map((row) => ({ hour: new Date(row.hourMs).toISOString(), ...fieldsOf(row) })),
    total: fieldsOf(rows.reduce(sum, NOTHING)),
  };
}

function parseRange(query: unknown, nowMs: number): { fromMs: number; toMs: number } {
  const parsed = usageQuerySchema.safeParse(query);
  if (!parsed.success) {
    throw new UserError('INVALID_REQUEST', `the query cannot be used:\n${formatIssues(parsed.error)}`);
  }
  const toMs = parsed.data.to === undefined ? nowMs : Date.parse(parsed.data.to);
  const asked = parsed.data.from === undefined ? toMs - DAY_MS : Date.parse(parsed.data.from);
  if (asked >= toMs) {
    const end = parsed.data.to === undefined ? 'now' : 'to';
    throw new UserError('INVALID_REQUEST', `from must be before ${end}`, { hint: 'both are times, oldest first' });
  }
  if (toMs - asked > USAGE_MAX_DAYS * DAY_MS) {
    throw new UserError('INVALID_REQUEST', `from is more than ${USAGE_MAX_DAYS} days before to`, {
      hint: 'ask for a shorter time, several times',
    });
  }
  return { fromMs: asked - (((asked % HOUR_MS) + HOUR_MS) % HOUR_MS), toMs };
}

function sum(total: RelayCounters, row: RelayCounters): RelayCounters {
  return {
    bytesIn: total.bytesIn + row.bytesIn,
    bytesOut: total.bytesOut + row.bytesOut,
    packetsIn: total.packetsIn + row.packetsIn,
    packetsOut: total.packetsOut + row.packetsOut,
    allocations: total.allocations + row.allocations,
  };
}

function fieldsOf(counters: RelayCounters): Usage['total'] {
  return {
    relayed_bytes_in: counters.bytesIn,
    relayed_bytes_out: counters.bytesOut,
    relayed_packets_in: counters.packetsIn,
    relayed_packets_out: counters.packetsOut,
    allocations: counters.allocations,
  };
}
