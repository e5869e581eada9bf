import { z } from 'zod';
import { ipSchema, nodeIdSchema, portSchema } from '../names.ts';
import { logLevelSchema } from './common.ts';

/** Configuration file of a node's TURN server. Tenants come over the control socket. */
export const turnConfigSchema = z.strictObject({
  node: nodeIdSchema,
  /** Public addresses to listen on. */
  listen: z.array(ipSchema).min(1),
  port: portSchema.default(3478),
  /** Realm of the long-term credentials: the cluster's base domain. */
  realm: z.string().min(1).max(127),
  controlSocket: z.string().min(1),
  /** Internal HTTP: /healthz /readyz /metrics. */
  internal: z.strictObject({ address: ipSchema, port: portSchema.default(6003) }),
  /** Addresses of this node that no tenant may reach unless a tenant's `peers` names them. */
  ownAddresses: z.array(ipSchema).default([]),
  /** Seconds: default and largest allocation lifetime (RFC 8656 section 7.2). */
  defaultLifetimeSec: z.int().positive().default(600),
  maxLifetimeSec: z.int().positive().default(3600),
  nonceLifetimeSec: z.int().positive().default(3600),
  maxTcpConnections: z.int().positive().default(10_000),
  maxTcpConnectionsPerSource: z.int().positive().default(100),
  /** Unauthenticated requests one source address may send. */
  unauthenticatedRate: z
    .strictObject({ burst: z.int().positive(), perSec: z.number().positive() })
    .default({ burst: 60, perSec: 30 }),
  drainTimeoutMs: z.int().positive().default(30_000),
  logLevel: logLevelSchema,
});
export type TurnConfig = z.infer<typeof turnConfigSchema>;
export type TurnConfigInput = z.input<typeof turnConfigSchema>;
