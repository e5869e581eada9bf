import { z } from 'zod';
import { ipSchema, nodeIdSchema, portSchema } from '../names.ts';
import {
  logLevelSchema,
  nonceLifetimeSecSchema,
  TURN_INTERNAL_PORT,
  timerMsSchema,
  unauthenticatedRateSchema,
} from './common.ts';

/** What LIFETIME can tell a client (RFC 8656 section 18.2). */
const LIFETIME_MAX_SEC = 2 ** 32 - 1;

/** Configuration file of a node's TURN server. Tenants come over the control socket. */
export const turnConfigSchema = z
  .strictObject({
    node: nodeIdSchema,
    /** Public addresses to listen on. */
    listen: z
      .array(ipSchema)
      .min(1)
      .refine((addresses) => new Set(addresses).size === addresses.length, { error: 'an address is there twice' }),
    port: portSchema.default(3478),
    /** The TLS listener; false turns it off. Without a certificate of its own it makes a self-signed one. */
    tls: z
      .union([
        z.literal(false),
        z
          .strictObject({
            port: portSchema.default(5349),
            /** PEM files of the certificate for names that none was handed over for; read again when they change. */
            certFile: z.string().min(1).optional(),
            keyFile: z.string().min(1).optional(),
            /**
             * A port that TURN shares with an HTTPS server, which takes the PROXY protocol: what names a tenant or asks for
             * TURN by ALPN is ours, everything else is passed on.
             */
            shared: z
              .strictObject({
                port: portSchema.default(443),
                https: z.strictObject({ address: ipSchema, port: portSchema }),
              })
              .optional(),
          })
          .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
            error: 'certFile and keyFile go together',
          }),
      ])
      .prefault({}),
    /** Public address by local address, where a node sits behind 1:1 NAT. */
    external: z.record(ipSchema, ipSchema).default({}),
    /** Threads that share the ports; `auto` takes one for each processor. */
    workers: z.union([z.literal('auto'), z.int().min(1).max(64)]).default('auto'),
    /** `node-turn` is the minimal reference engine for development, on loopback addresses only. */
    engine: z.enum(['orama', 'node-turn']).default('orama'),
    /** Realm of the long-term credentials: the cluster's base domain. */
    realm: z.string().min(1).max(127),
    controlSocket: z.string().min(1),
    /** Internal HTTP: /healthz /readyz /metrics. */
    internal: z.strictObject({ address: ipSchema, port: portSchema.default(TURN_INTERNAL_PORT) }),
    /** Addresses of this node that no tenant may reach unless a tenant's `peers` names them. */
    ownAddresses: z.array(ipSchema).default([]),
    /** Seconds: default and largest allocation lifetime (RFC 8656 section 7.2). */
    defaultLifetimeSec: z.int().positive().default(600),
    maxLifetimeSec: z.int().positive().max(LIFETIME_MAX_SEC).default(3600),
    nonceLifetimeSec: nonceLifetimeSecSchema,
    maxTcpConnections: z.int().positive().default(10_000),
    maxTcpConnectionsPerSource: z.int().positive().default(100),
    /**
     * Allocations that one source address (IPv6: one /64) may have in each namespace. A browser makes up to six while it
     * gathers and keeps one or two: enough for an office of a hundred behind one address, a quarter of a relay block.
     */
    maxAllocationsPerSource: z.int().positive().default(200),
    /** Unauthenticated requests one source address may send. */
    unauthenticatedRate: unauthenticatedRateSchema,
    drainTimeoutMs: timerMsSchema.default(30_000),
    logLevel: logLevelSchema,
  })
  .refine(({ port, tls }) => tls === false || tls.port !== port, {
    error: 'TLS needs a port of its own: not that of `port`',
    path: ['tls', 'port'],
  })
  .refine(({ port, tls }) => tls === false || (tls.shared?.port !== port && tls.shared?.port !== tls.port), {
    error: 'needs a port of its own',
    path: ['tls', 'shared', 'port'],
  })
  .refine(
    ({ listen, tls }) =>
      tls === false ||
      !tls.shared ||
      !listen.includes(tls.shared.https.address) ||
      tls.shared.https.port !== tls.shared.port,
    { error: 'is this server itself', path: ['tls', 'shared', 'https'] },
  )
  .refine(({ defaultLifetimeSec, maxLifetimeSec }) => defaultLifetimeSec <= maxLifetimeSec, {
    error: 'the default may not be above maxLifetimeSec',
    path: ['defaultLifetimeSec'],
  })
  .refine(
    ({ listen, port, tls, internal }) =>
      !listen.includes(internal.address) ||
      (internal.port !== port && (tls === false || (internal.port !== tls.port && internal.port !== tls.shared?.port))),
    { error: 'clients are served at this address and port', path: ['internal', 'port'] },
  );
export type TurnConfig = z.infer<typeof turnConfigSchema>;
export type TurnConfigInput = z.input<typeof turnConfigSchema>;
