import { z } from 'zod';
import { ipSchema, namespaceNameSchema, portSchema } from '../names.ts';

/** Control socket of the TURN server: HTTP over a Unix socket, `PUT|DELETE /tenants/<ns>`, `GET /tenants`. */

/** UDP port range of one peer address that a tenant may send to. */
export const peerRangeSchema = z.object({ ip: ipSchema, portStart: portSchema, portEnd: portSchema });
export type PeerRange = z.infer<typeof peerRangeSchema>;

/** A tenant as the controlplane attaches it. Attaching again with other values reloads it. */
export const turnTenantSchema = z.strictObject({
  namespace: namespaceNameSchema,
  /** Shared secrets that verify passwords; the first is the current one, the second is still valid during a rotation. */
  secrets: z.array(z.string().min(16)).min(1).max(2),
  relay: z.object({ address: ipSchema, portStart: portSchema, portEnd: portSchema }),
  /** Peers that are always allowed: the namespace's own SFUs. */
  peers: z.array(peerRangeSchema),
  /** Whether public unicast peers are allowed as well (mesh calls). */
  allowPublicPeers: z.boolean().default(false),
  maxAllocations: z.int().positive().default(800),
  /** A username is a second and a namespace, so everybody who asked for credentials in that second shares it. */
  maxAllocationsPerUsername: z.int().positive().default(400),
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
