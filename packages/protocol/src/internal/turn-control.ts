import { z } from 'zod';
import { timerMsSchema } from '../config/common.ts';
import { hostNameSchema, ipSchema, namespaceNameSchema, portSchema, relayPortSchema } from '../names.ts';

/**
 * Control socket of the TURN server, HTTP over a Unix socket:
 * `GET /status`, `POST /drain`, `GET /usage`, `GET /tenants`, `PUT|DELETE /tenants/<ns>`,
 * `GET /tenants/<ns>/peers/<ip>?port=`, `PUT|DELETE /certificates/<name>`.
 */

/** UDP port range of one peer address that a tenant may send to. */
export const peerRangeSchema = z
  .strictObject({ ip: ipSchema, portStart: portSchema, portEnd: portSchema })
  .refine(({ portStart, portEnd }) => portEnd >= portStart, {
    error: 'must not be below portStart',
    path: ['portEnd'],
  });
export type PeerRange = z.infer<typeof peerRangeSchema>;

/** A tenant as the controlplane attaches it. Attaching again with other values reloads it. */
export const turnTenantSchema = z.strictObject({
  namespace: namespaceNameSchema,
  /** Shared secrets that verify passwords; the first is the current one, the second is still valid during a rotation. */
  secrets: z
    .array(z.string().min(16))
    .min(1)
    .max(2)
    .refine((secrets) => new Set(secrets).size === secrets.length, {
      error: 'a secret is there twice; leave out the former one once its rotation is over',
    }),
  /**
   * Former secrets whose rotation is over: they make no allocation any more, and those that they made go on. What was made
   * with a secret that is listed nowhere ends at once.
   */
  retiredSecrets: z.array(z.string().min(16)).min(1).max(4).optional(),
  /** Host name in this namespace's TURN URIs; a self-signed certificate names it. */
  domain: hostNameSchema.optional(),
  relay: z.strictObject({
    /** Where relay addresses are made: the WireGuard address, or a public one where mesh calls are allowed. */
    address: ipSchema,
    /** Second relay address, IPv6, for clients that ask for that family. */
    address6: ipSchema.optional(),
    /** WireGuard address that `peers` are reached from when `address` is public. */
    innerAddress: ipSchema.optional(),
    portStart: relayPortSchema,
    portEnd: portSchema,
  }),
  /** Peers that are always allowed: the namespace's own SFUs. */
  peers: z.array(peerRangeSchema),
  /** Whether public unicast peers are allowed as well (mesh calls). */
  allowPublicPeers: z.boolean().default(false),
  maxAllocations: z.int().positive().default(800),
  /** A username is a second and a namespace, so everybody who asked for credentials in that second shares it. */
  maxAllocationsPerUsername: z.int().positive().default(400),
  /** Bytes of application data a second, both directions together; absent: no limit. */
  bytesPerSec: z.int().positive().optional(),
  allocationBytesPerSec: z.int().positive().optional(),
  /** Other TURN servers of the namespace, named to clients while this one drains; without `tlsPort`, not to those over TLS. */
  alternates: z
    .array(z.strictObject({ address: ipSchema, port: portSchema, tlsPort: portSchema.optional() }))
    .default([]),
  /** Generation of the namespace's configuration. */
  generation: z.int().nonnegative(),
});
export type TurnTenant = z.infer<typeof turnTenantSchema>;
export type TurnTenantInput = z.input<typeof turnTenantSchema>;

/** A tenant as the server reports it; never with its secrets. */
export const turnTenantStatusSchema = z.object({
  namespace: namespaceNameSchema,
  generation: z.int().nonnegative(),
  /** Hex SHA-256 over the tenant as attached, so that a changed secret or policy is noticed without showing it. */
  digest: z.string(),
  allocations: z.int().nonnegative(),
});
export type TurnTenantStatus = z.infer<typeof turnTenantStatusSchema>;
export const turnTenantListSchema = z.object({ tenants: z.array(turnTenantStatusSchema) });

/** What the server logged of a tenant, for the log of the tenant itself. */
export const turnTenantLineSchema = z.object({
  /** Unix milliseconds. */
  atMs: z.number(),
  level: z.enum(['info', 'warn']),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()),
});
export type TurnTenantLine = z.infer<typeof turnTenantLineSchema>;
export const turnTenantLinesSchema = z.object({ lines: z.array(turnTenantLineSchema) });

/** What a tenant has relayed since the server started; a detached tenant stays listed for as long as the server runs. */
export const turnTenantUsageSchema = z.object({
  namespace: namespaceNameSchema,
  toPeerPackets: z.int().nonnegative(),
  toPeerBytes: z.int().nonnegative(),
  toClientPackets: z.int().nonnegative(),
  toClientBytes: z.int().nonnegative(),
  /** Allocations made. */
  allocations: z.int().nonnegative(),
});
export type TurnTenantUsage = z.infer<typeof turnTenantUsageSchema>;

/** Counters only grow while `boot` stays the same. */
export const turnUsageSchema = z.object({ boot: z.string().min(1), tenants: z.array(turnTenantUsageSchema) });
export type TurnUsage = z.infer<typeof turnUsageSchema>;

/** A certificate of the TLS listener, by the name that SNI asks for; null is the one for every other name. */
export const turnCertificateStatusSchema = z.object({
  name: z.string().nullable(),
  subject: z.string(),
  issuer: z.string(),
  selfSigned: z.boolean(),
  /** Unix milliseconds. */
  notAfter: z.int(),
  /** SHA-256 of the certificate, hexadecimal with colons; servers of before tell none. */
  fingerprint: z.string().optional(),
});
export type TurnCertificateStatus = z.infer<typeof turnCertificateStatusSchema>;

/** A certificate pair handed over, PEM. */
export const turnCertificateSchema = z.strictObject({ cert: z.string().min(1), key: z.string().min(1) });

/** State of the whole server. */
export const turnServerStatusSchema = z.object({
  allocations: z.int().nonnegative(),
  relayPortsBound: z.int().nonnegative(),
  draining: z.boolean(),
  /** Unix milliseconds at which a drain ends whatever is left. */
  drainEndsAt: z.int().optional(),
  workers: z.array(z.object({ id: z.int().nonnegative(), allocations: z.int().nonnegative() })),
  certificates: z.array(turnCertificateStatusSchema),
});
export type TurnServerStatus = z.infer<typeof turnServerStatusSchema>;

/** Begins a drain that ends after `deadlineMs` at the latest; the server then exits. */
export const turnDrainSchema = z.strictObject({ deadlineMs: timerMsSchema.optional() });

/** Answer to "may this tenant's clients reach that peer, and which rule says so". */
export const turnPeerVerdictSchema = z.object({
  allowed: z.boolean(),
  rule: z.string(),
  /** UDP ports that are allowed at the address, whichever was asked about; absent when all or none are. */
  ports: z.array(z.object({ start: portSchema, end: portSchema })).optional(),
});
export type TurnPeerVerdict = z.infer<typeof turnPeerVerdictSchema>;
