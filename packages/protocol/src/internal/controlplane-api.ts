import { z } from 'zod';
import { DEFAULT_TURN_CREDENTIAL_TTL_SEC } from '../limits.ts';
import { ipSchema, namespaceNameSchema, nodeIdSchema, portSchema } from '../names.ts';
import {
  turnCertificateStatusSchema,
  turnDrainSchema,
  turnServerStatusSchema,
  turnTenantStatusSchema,
} from './turn-control.ts';

/**
 * API of the controlplane, below `/v1/internal`, every request signed with the cluster key:
 *
 * | call | answer |
 * |---|---|
 * | `GET /cluster` | `clusterStatusSchema` |
 * | `GET /namespaces` | `namespaceListSchema` |
 * | `POST /namespaces` `createNamespaceSchema` | 201 `createdNamespaceSchema` |
 * | `DELETE /namespaces/<ns>` | 204; 409 while WebRTC is enabled |
 * | `POST /namespaces/<ns>/webrtc/enable` `enableWebrtcSchema` | 202 `operationStartedSchema` |
 * | `POST /namespaces/<ns>/webrtc/disable` `disableWebrtcSchema` | 202 `operationStartedSchema` |
 * | `POST /namespaces/<ns>/webrtc/rotate-secret` `rotateSecretSchema` | 202 `operationStartedSchema` |
 * | `GET /namespaces/<ns>/webrtc` | `webrtcStatusSchema` |
 * | `PATCH /namespaces/<ns>/webrtc` `turnSettingsChangeSchema` | `turnSettingsChangedSchema` |
 * | `GET /namespaces/<ns>/usage?from=&to=` | `usageSchema` |
 * | `POST /namespaces/<ns>/webrtc/credentials` | `turnCredentialsSchema` |
 * | `GET /nodes` | `nodeListSchema` |
 * | `POST /nodes/<id>/drain` `drainNodeSchema` | 202 `operationStartedSchema` |
 * | `POST /nodes/<id>/resume`, `POST /nodes/<id>/readmit` `changeNodeSchema` | `nodeChangedSchema` |
 * | `POST /nodes/<id>/remove` `removeNodeSchema` | `nodeChangedSchema` |
 * | `POST /invitations` `inviteSchema` | 201 `invitationSchema` |
 * | `GET /invitations` | `invitationListSchema` |
 * | `POST /invitations/<id>/revoke` `changeNodeSchema` | 204 |
 * | `GET /nodes/<id>/turn` | `nodeTurnSchema` |
 * | `POST /nodes/<id>/turn/drain` `nodeDrainSchema`, `POST /nodes/<id>/turn/resume` | `nodeTurnSchema` |
 * | `GET /nodes/<id>/turn/tenants/<ns>/peers/<ip>?port=` | `turnPeerVerdictSchema` |
 * | `GET /tenants/<ns>` of the node that is asked, with secrets | `nodeTenantSchema` |
 * | `GET /operations?namespace=&limit=` | `operationListSchema` |
 * | `GET /operations/<id>` | `operationSchema` |
 * | `GET /monitor` | `clusterReportSchema` |
 * | `GET /monitor/node` of the node that is asked | `nodeReportSchema` |
 * | `GET /operator-tokens` | `operatorTokenListSchema` |
 * | `POST /operator-tokens` `createOperatorTokenSchema` | 201 `createdOperatorTokenSchema` |
 * | `POST /operator-tokens/<name>/revoke` `revokeOperatorTokenSchema` | 204 |
 * | `GET /leases` | `leaseListSchema` |
 * | `GET /nodes/<id>/plan` | `nodePlanSchema` |
 * | `GET /nodes/<id>/inspection` | `nodeFactsSchema` |
 * | `GET /inspection/cluster` | `clusterFactsSchema` |
 *
 * What is asked about a node is handed to its own controlplane, as the same path without `/nodes/<id>`.
 */
export const CONTROLPLANE_API_PREFIX = '/v1/internal';

/** HKDF info of the key that signs calls to the controlplane; the input is the cluster key. */
export const CONTROLPLANE_KEY_INFO = 'controlplane-api';

export const createNamespaceSchema = z.strictObject({
  name: namespaceNameSchema,
  owner: z.string().min(1).max(128).default('operator'),
});

export const namespaceSchema = z.object({
  name: namespaceNameSchema,
  owner: z.string(),
  webrtc: z.enum(['off', 'enabling', 'enabled', 'disabling']),
  createdAt: z.string(),
});
export type Namespace = z.infer<typeof namespaceSchema>;
export const namespaceListSchema = z.object({ namespaces: z.array(namespaceSchema) });
/** The owner API key is shown once, here; the store keeps only its hash. */
export const createdNamespaceSchema = z.object({ namespace: namespaceSchema, apiKey: z.string(), url: z.string() });

/** Bytes a second; less would not carry one voice call. */
export const TURN_BYTES_PER_SEC_MIN = 10_000;
const bytesPerSecSchema = z.int().min(TURN_BYTES_PER_SEC_MIN).max(1_000_000_000_000).nullable();

/** What a namespace may ask of each of its TURN servers. */
export const turnSettingsSchema = z.strictObject({
  /** `sfu`: relays to the namespace's own SFUs and nothing else; `public`: to public peers as well, for mesh calls. */
  peerPolicy: z.enum(['sfu', 'public']),
  /** At most the relay ports that the namespace has on a node. */
  maxAllocations: z.int().min(1).max(65_535),
  /** A username is a second and a namespace, so everybody who asked for credentials in that second shares it. */
  maxAllocationsPerUsername: z.int().min(1).max(65_535),
  /** Bytes of application data a second, both directions together; null: no limit. */
  bytesPerSec: bytesPerSecSchema,
  allocationBytesPerSec: bytesPerSecSchema,
});
export type TurnSettings = z.infer<typeof turnSettingsSchema>;

/** Some of the settings; null is the default of each. */
const someTurnSettingsSchema = turnSettingsSchema
  .extend({
    maxAllocations: turnSettingsSchema.shape.maxAllocations.nullable(),
    maxAllocationsPerUsername: turnSettingsSchema.shape.maxAllocationsPerUsername.nullable(),
  })
  .partial();
export type SomeTurnSettings = z.infer<typeof someTurnSettingsSchema>;

/** Settings that are not given stay as they are. */
export const turnSettingsChangeSchema = someTurnSettingsSchema.extend({
  requestedBy: z.string().max(128).default('operator'),
});
export type TurnSettingsChange = z.infer<typeof turnSettingsChangeSchema>;

export const turnSettingsChangedSchema = z.object({
  outcome: z.enum(['changed', 'unchanged']),
  message: z.string(),
  settings: turnSettingsSchema,
  /** Generation with which the settings are in effect on a node. */
  generation: z.int(),
});
export type TurnSettingsChanged = z.infer<typeof turnSettingsChangedSchema>;

export const enableWebrtcSchema = z.strictObject({
  sfuNodeCount: z.int().min(1).max(9).default(3),
  turnNodeCount: z.int().min(1).max(9).default(2),
  /** Take as many nodes as there are, where there are fewer; the others are added when they come. */
  allowDegraded: z.boolean().default(false),
  turnCredentialTtlSec: z.int().min(5).max(86_400).default(DEFAULT_TURN_CREDENTIAL_TTL_SEC),
  /** Those not given are `sfu`, all relay ports of a node, half of the allocations for one username, and no limit of bytes. */
  turn: someTurnSettingsSchema.default({}),
  requestedBy: z.string().max(128).default('operator'),
});
export type EnableWebrtc = z.infer<typeof enableWebrtcSchema>;

export const disableWebrtcSchema = z.strictObject({ requestedBy: z.string().max(128).default('operator') });

export const rotateSecretSchema = z.strictObject({
  /** Also while credentials of the secret before the last rotation are valid; they make no allocation any more then. */
  force: z.boolean().default(false),
  requestedBy: z.string().max(128).default('operator'),
});
export type RotateSecret = z.infer<typeof rotateSecretSchema>;

export const operationStepSchema = z.object({
  /** `<task>:<subject>`, for example `sfu:node-1`, `turn:node-2`, `dns`, `state-file:node-3`. */
  name: z.string(),
  state: z.enum(['pending', 'running', 'done', 'failed']),
  /** What is being waited for, or why it failed. */
  detail: z.string().optional(),
  startedAt: z.string().optional(),
  finishedAt: z.string().optional(),
});
export type OperationStep = z.infer<typeof operationStepSchema>;

export const operationSchema = z.object({
  id: z.string(),
  kind: z.enum(['enable-webrtc', 'disable-webrtc', 'rotate-secret', 'drain-node']),
  /** What it is about: a namespace, or else a node. */
  namespace: namespaceNameSchema.nullable(),
  node: nodeIdSchema.nullable(),
  state: z.enum(['running', 'done', 'failed']),
  /** When whatever is left is ended. */
  deadlineAt: z.string().optional(),
  steps: z.array(operationStepSchema),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  requestedBy: z.string(),
  createdAt: z.string(),
  finishedAt: z.string().optional(),
});
export type Operation = z.infer<typeof operationSchema>;

/** Parameters of `GET /operations`. */
export const operationQuerySchema = z.strictObject({
  namespace: namespaceNameSchema.optional(),
  limit: z.coerce.number().pipe(z.int().min(1).max(200)).default(20),
});
export const operationListSchema = z.object({ operations: z.array(operationSchema) });

export const leaseViewSchema = z.object({
  /** What only its holder may do: `liveness`, `dns`, `placement`. */
  name: z.string(),
  /** Node id; null once it was given up. */
  holder: z.string().nullable(),
  generation: z.int(),
  /** When the holder took it, by its clock, ISO 8601. */
  since: z.string(),
});
export type LeaseView = z.infer<typeof leaseViewSchema>;
export const leaseListSchema = z.object({ leases: z.array(leaseViewSchema) });

/** What the reconcile tasks of a node would do now. */
export const nodePlanSchema = z.object({
  node: z.string(),
  tasks: z.array(
    z.object({
      task: z.string(),
      actions: z.array(z.object({ kind: z.string(), subject: z.string(), reason: z.string() })),
      /** Why the task cannot tell. */
      error: z.string().optional(),
    }),
  ),
});
export type NodePlan = z.infer<typeof nodePlanSchema>;

export const operationStartedSchema = z.object({
  /** Null when there was nothing to do. */
  operation: operationSchema.nullable(),
  /** `started`: this call began it. `resumed`: it was already running. `unchanged`: nothing to do, and nothing was changed. */
  outcome: z.enum(['started', 'resumed', 'unchanged']),
  message: z.string(),
});
export type OperationStarted = z.infer<typeof operationStartedSchema>;

export const serviceStatusSchema = z.object({
  node: z.string(),
  service: z.enum(['sfu', 'turn']),
  desired: z.enum(['running', 'absent']),
  /** `unknown` while the node is unreachable. */
  observed: z.enum(['running', 'starting', 'failed', 'absent', 'unknown']),
  healthy: z.boolean(),
  reason: z.string().optional(),
  /** Since when it is in this state, ISO 8601. */
  since: z.string(),
  address: z.string(),
  /** Human form of the ports, for example `signalling 30000, media 20000-20499`. */
  ports: z.string(),
  allocations: z.int().optional(),
  /** What a TURN server shows to clients that come by TLS for the namespace's TURN name. */
  certificate: z
    .object({
      issuer: z.string(),
      selfSigned: z.boolean(),
      notAfter: z.string(),
      /** Why it is not, or will not stay, the one that was asked for. */
      problem: z.string().optional(),
    })
    .optional(),
  peers: z.int().optional(),
});
export type ServiceStatus = z.infer<typeof serviceStatusSchema>;

export const webrtcStatusSchema = z.object({
  namespace: namespaceNameSchema,
  state: z.enum(['off', 'enabling', 'enabled', 'disabling']),
  /** True when everything desired is observed healthy and DNS is right. */
  healthy: z.boolean(),
  sfuNodeCount: z.int(),
  turnNodeCount: z.int(),
  turnCredentialTtlSec: z.int(),
  /** Null while WebRTC is off. */
  turn: turnSettingsSchema.nullable(),
  turnDomain: z.string(),
  turnUris: z.array(z.string()),
  generation: z.int(),
  enabledBy: z.string().optional(),
  enabledAt: z.string().optional(),
  /** Until when credentials of the TURN secret before the last rotation make allocations; absent once they do not. */
  formerSecretValidUntil: z.string().optional(),
  services: z.array(serviceStatusSchema),
  dns: z.array(z.object({ fqdn: z.string(), type: z.string(), value: z.string(), ttl: z.int(), served: z.boolean() })),
  rooms: z.int(),
  /** What is wrong, in words an operator can act on. Empty when healthy. */
  problems: z.array(z.string()),
  /** The running operation, if any. */
  operation: operationSchema.nullable(),
});
export type WebrtcStatus = z.infer<typeof webrtcStatusSchema>;

export const nodeStatusSchema = z.object({
  id: z.string(),
  wireguardIp: z.string(),
  publicIp: z.string(),
  region: z.string(),
  state: z.enum(['active', 'draining', 'gone']),
  /** Whether its controlplane's heartbeats come, as the node sees it that holds the lease `liveness`. */
  alive: z.boolean(),
  /** Its last heartbeat, by its own clock. */
  lastSeenAt: z.string(),
  /** Node services such as gateway and turn. */
  core: z.array(z.object({ service: z.string(), healthy: z.boolean(), reason: z.string().optional() })),
});
export type NodeStatus = z.infer<typeof nodeStatusSchema>;

/** A node with what runs there. */
export const nodeViewSchema = nodeStatusSchema.extend({
  publicIp6: z.string().nullable(),
  version: z.string(),
  /** Since when it is reachable, or is not; ISO 8601. */
  aliveSince: z.string(),
  services: z.array(
    z.object({
      service: z.enum(['sfu', 'turn']),
      namespace: namespaceNameSchema,
      /** It is to end there. */
      leaving: z.boolean(),
    }),
  ),
  /** Of its SFUs and its TURN server. */
  peers: z.int().nonnegative(),
  allocations: z.int().nonnegative(),
  /** The drain that goes on, if any. */
  operation: operationSchema.nullable(),
});
export type NodeView = z.infer<typeof nodeViewSchema>;
export const nodeListSchema = z.object({ nodes: z.array(nodeViewSchema) });

const requestedBy = z.string().max(128).default('operator');
export const changeNodeSchema = z.strictObject({ requestedBy });
export const drainNodeSchema = z.strictObject({
  /** After which allocations that are left on its TURN server are ended. */
  deadlineMs: z.int().min(1_000).max(86_400_000).default(300_000),
  requestedBy,
});
export type DrainNode = z.infer<typeof drainNodeSchema>;
export const removeNodeSchema = z.strictObject({
  /** It is unreachable and will never come back: what it had is free. */
  force: z.boolean().default(false),
  requestedBy,
});
export type RemoveNode = z.infer<typeof removeNodeSchema>;
export const nodeChangedSchema = z.object({ outcome: z.enum(['changed', 'unchanged']), message: z.string() });
export type NodeChanged = z.infer<typeof nodeChangedSchema>;

export const clusterStatusSchema = z.object({
  clusterId: z.string(),
  baseDomain: z.string(),
  version: z.string(),
  nodes: z.array(nodeStatusSchema),
});
export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

/** The state of a TURN server as the control socket tells it, with times in ISO 8601. */
const turnServerViewSchema = turnServerStatusSchema.extend({
  drainEndsAt: z.string().optional(),
  certificates: z.array(turnCertificateStatusSchema.extend({ notAfter: z.string() })),
});
export type TurnServerView = z.infer<typeof turnServerViewSchema>;

/** The TURN server of a node. */
export const nodeTurnSchema = z.object({
  node: nodeIdSchema,
  /** Drained and not to be started again until it is resumed. */
  held: z.boolean(),
  /** Null while no server runs. */
  server: turnServerViewSchema.nullable(),
  tenants: z.array(turnTenantStatusSchema.omit({ digest: true })),
});
export type NodeTurn = z.infer<typeof nodeTurnSchema>;

export const nodeDrainSchema = turnDrainSchema.extend({
  /** Whether another server is started once the drained one has ended; otherwise it stays down until it is resumed. */
  restart: z.boolean().default(false),
});
export type NodeDrain = z.input<typeof nodeDrainSchema>;

/** A peer that a verdict is asked about. */
export const turnPeerQuerySchema = z.strictObject({ ip: ipSchema, port: portSchema.optional() });
