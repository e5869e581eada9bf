import { z } from 'zod';
import { namespaceNameSchema, nodeIdSchema } from '../names.ts';

/**
 * What `orama monitor report` prints with `--json`, in the notation of cluster_state.json. Everything was seen a moment ago
 * by asking what runs; null is what could not be learned, and beside it stands why.
 */

const count = z.int().nonnegative();
const reason = z.string().nullable();

/** A process of a node. */
const processSchema = z.object({
  up: z.boolean(),
  /** Why it is not up. */
  reason,
  /** How often it ended unasked since this controlplane started. */
  restarts: count,
  /** How late its event loop was, the 99th percentile, in the worst of its threads and processes. */
  event_loop_delay_ms: z.number().nullable(),
});

/** What a TLS client is shown for a name. */
export const certificateSeenSchema = z.object({
  name: z.string(),
  issuer: z.string(),
  self_signed: z.boolean(),
  /** Whether it holds for the name, whoever vouches for it. */
  name_matches: z.boolean(),
  not_after: z.string(),
  /** Whole days; negative once it has ended. */
  days: z.int(),
});
export type CertificateSeen = z.infer<typeof certificateSeenSchema>;

/** What a node's DNS servers answer for a name. */
export const dnsSeenSchema = z.object({
  name: z.string(),
  namespace: namespaceNameSchema,
  kind: z.enum(['turn', 'gateway']),
  /** Who was asked: `<address>:<port>`, `file <path>` where a file is all there is, `resolver` for that of the machine. */
  asked: z.string(),
  /** Addresses in order; null when there was no answer. */
  addresses: z.array(z.string()).nullable(),
  reason,
});
export type DnsSeen = z.infer<typeof dnsSeenSchema>;

export const nodeReportSchema = z.object({
  node: nodeIdSchema,
  at: z.string(),
  version: z.string(),
  store: z.object({
    up: z.boolean(),
    driver: z.enum(['sqlite', 'rqlite']),
    /** `leader` or `follower`, for rqlite. */
    role: z.enum(['leader', 'follower']).nullable(),
    latency_ms: z.number().nullable(),
    reason,
  }),
  controlplane: processSchema,
  gateway: processSchema.extend({ sessions: count.nullable() }),
  turn: processSchema.extend({
    draining: z.boolean(),
    /** An operator keeps it down. */
    held: z.boolean().default(false),
    allocations: count.nullable(),
    /** Application data, both ways, over a second. */
    relayed_bps: z.number().nonnegative().nullable(),
  }),
  /** How many more namespaces fit: blocks that are free, of all. */
  port_blocks: z.object({
    sfu: z.object({ free: count, total: count }),
    turn: z.object({ free: count, total: count }),
  }),
  /** Those with something placed here. */
  namespaces: z.array(
    z.object({
      namespace: namespaceNameSchema,
      /** Null where no SFU of it belongs here. */
      sfu_up: z.boolean().nullable(),
      /** Null where no TURN of it belongs here. */
      turn_up: z.boolean().nullable(),
      sfu: processSchema.extend({ rooms: count.nullable(), peers: count.nullable() }).nullable(),
      turn: z
        .object({
          reason,
          /** How often its unit ended unasked; none where the controlplane attaches it itself. */
          restarts: count.default(0),
          allocations: count.nullable(),
          relayed_bps: z.number().nonnegative().nullable(),
          /** Null when no TLS client was served. */
          certificate: certificateSeenSchema.nullable(),
          certificate_reason: reason,
        })
        .nullable(),
    }),
  ),
  dns: z.array(dnsSeenSchema),
});
export type NodeReport = z.infer<typeof nodeReportSchema>;

export const clusterReportSchema = z.object({
  at: z.string(),
  cluster_id: z.string(),
  base_domain: z.string(),
  /** The node that asked the others. */
  asked: nodeIdSchema,
  nodes: z.array(
    z.object({
      node: nodeIdSchema,
      state: z.enum(['active', 'draining', 'gone']),
      public_ips: z.array(z.string()),
      /** Null when the node did not answer. */
      report: nodeReportSchema.nullable(),
      reason,
    }),
  ),
  namespaces: z.array(
    z.object({
      namespace: namespaceNameSchema,
      state: z.enum(['enabling', 'enabled', 'disabling']),
      sfu_up: count,
      sfu_wanted: count,
      turn_up: count,
      turn_wanted: count,
      /** Whether every server that was asked names the nodes that serve, and no other. Null when none was. */
      dns_agrees: z.boolean().nullable(),
      rooms: count,
      peers: count,
      relayed_bps: z.number().nonnegative(),
      /** Of the certificate that ends first. */
      certificate_days: z.int().nullable(),
    }),
  ),
  /** What is not as it should be, in words. */
  problems: z.array(
    z.object({
      /** `warning`: an operator wants it so. */
      severity: z.enum(['warning', 'critical']).default('critical'),
      node: nodeIdSchema.nullable(),
      namespace: namespaceNameSchema.nullable(),
      text: z.string(),
    }),
  ),
});
export type ClusterReport = z.infer<typeof clusterReportSchema>;
