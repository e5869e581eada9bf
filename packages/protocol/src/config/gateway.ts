import { z } from 'zod';
import { ipSchema, nodeIdSchema, portSchema } from '../names.ts';
import { cidrSchema, logLevelSchema } from './common.ts';
import { storeConfigSchema } from './store.ts';

/** A token bucket: `burst` at once, refilled with `perSec`. */
const rateSchema = z.strictObject({ burst: z.int().positive(), perSec: z.number().positive() });

/** Networks, or single addresses, that calls of operators may come from. */
export const operatorSourcesSchema = z.array(z.union([cidrSchema, ipSchema])).min(1);

/** Configuration file of a node's gateway. */
export const gatewayConfigSchema = z.strictObject({
  node: nodeIdSchema,
  listen: z.strictObject({ address: ipSchema, port: portSchema.default(6080) }),
  internal: z.strictObject({ address: ipSchema, port: portSchema.default(6002) }),
  baseDomain: z.string().min(1),
  store: storeConfigSchema,
  clusterKeyFile: z.string().min(1),
  /** Whether TURN URIs carry the namespace's TURN name or the addresses of its nodes. */
  turnAdvertise: z.enum(['names', 'addresses']).default('names'),
  /** Whether TURN servers are reached over TLS on port 443 too, on all nodes. */
  turnPort443: z.boolean().default(false),
  /** Addresses of reverse proxies whose X-Forwarded-For is believed. */
  trustedProxies: z.array(ipSchema).default([]),
  /** HTTP port of the Caddys of all nodes; with it, ACME challenges that another node's Caddy can answer are answered. */
  acmeChallengePort: portSchema.optional(),
  /** Serve the call page under /call. */
  callPage: z.boolean().default(false),
  /** Operators with a token reach the node's controlplane through this gateway; not unless it is given. */
  operatorApi: z
    .strictObject({
      controlplane: z.strictObject({ address: ipSchema, port: portSchema }),
      /** From anywhere unless given. */
      allowFrom: operatorSourcesSchema.optional(),
    })
    .optional(),
  /** What one source (IPv4 address or IPv6 /64) and one API key may ask for; raise them for many users behind one address. */
  limits: z
    .strictObject({
      requestsPerSource: rateSchema.default({ burst: 100, perSec: 50 }),
      requestsPerKey: rateSchema.default({ burst: 400, perSec: 200 }),
      connectsPerSource: rateSchema.default({ burst: 60, perSec: 5 }),
      operatorCallsPerSource: rateSchema.default({ burst: 100, perSec: 20 }),
      socketsPerSource: z.int().positive().default(500),
      /** TCP connections of the public listener. */
      connections: z.int().positive().default(10_000),
    })
    .prefault({}),
  drainTimeoutMs: z.int().positive().default(10_000),
  logLevel: logLevelSchema,
});
export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;
export type GatewayConfigInput = z.input<typeof gatewayConfigSchema>;
