import { z } from 'zod';
import { ipSchema, namespaceNameSchema, nodeIdSchema, portSchema } from './names.ts';

/** `cluster_state.json`: what a node needs to know of a namespace for a cold boot. Holds no secret. */
export const clusterStateSchema = z.object({
  version: z.literal(1),
  cluster_id: z.string().min(1),
  namespace_name: namespaceNameSchema,
  local_node_id: nodeIdSchema,
  local_ip: ipSchema,
  all_nodes: z.array(z.object({ node_id: nodeIdSchema, internal_ip: ipSchema })),
  base_domain: z.string().min(1),
  has_sfu: z.boolean(),
  has_turn: z.boolean(),
  turn_domain: z.string(),
  turn_credential_ttl: z.int().positive(),
  sfu_signaling_port: portSchema.optional(),
  sfu_media_port_start: portSchema.optional(),
  sfu_media_port_end: portSchema.optional(),
  turn_listen_port: portSchema.optional(),
  turn_tls_port: portSchema.optional(),
  turn_relay_port_start: portSchema.optional(),
  turn_relay_port_end: portSchema.optional(),
  generation: z.int().nonnegative(),
  /** ISO 8601, UTC. */
  saved_at: z.iso.datetime(),
});
export type ClusterState = z.infer<typeof clusterStateSchema>;

/** The file's name inside `<data>/namespaces/<ns>/`. */
export const CLUSTER_STATE_FILE = 'cluster_state.json';
