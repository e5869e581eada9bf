import { z } from 'zod';
import { namespaceNameSchema } from '../names.ts';

/** Longest time that one answer covers. */
export const USAGE_MAX_DAYS = 366;

const momentSchema = z.iso.datetime({
  offset: true,
  error: 'use a time such as 2026-11-21T00:00:00Z',
});

/** Query of `GET /v1/webrtc/usage`. Without `to` until now, without `from` the 24 hours before. */
export const usageQuerySchema = z.strictObject({ from: momentSchema.optional(), to: momentSchema.optional() });
export type UsageQuery = z.infer<typeof usageQuerySchema>;

const relayedSchema = z.object({
  /** Application data from clients to peers through TURN. */
  relayed_bytes_in: z.int().nonnegative(),
  /** And from peers to clients. */
  relayed_bytes_out: z.int().nonnegative(),
  relayed_packets_in: z.int().nonnegative(),
  relayed_packets_out: z.int().nonnegative(),
  /** TURN allocations made. */
  allocations: z.int().nonnegative(),
});

/** Answer of `GET /v1/webrtc/usage`: the hours from `from` on that begin before `to`, all TURN nodes together. */
export const usageSchema = z.object({
  namespace: namespaceNameSchema,
  /** Start of the first hour asked for, ISO 8601. */
  from: z.string(),
  to: z.string(),
  /** Oldest first; hours without usage are left out. `hour` is the start of the hour, ISO 8601. */
  hours: z.array(relayedSchema.extend({ hour: z.string() })),
  total: relayedSchema,
});
export type Usage = z.infer<typeof usageSchema>;
