import { z } from 'zod';
import { ipSchema, namespaceNameSchema, nodeIdSchema, portSchema } from '../names.ts';
import { turnCertificateStatusSchema } from './turn-control.ts';

const portRangeSchema = z.object({ start: portSchema, end: portSchema });
const endpointSchema = z.object({ address: ipSchema, port: portSchema });

/** Of a program that runs; null where it does not answer. */
const runningVersion = z.string().nullable();

/** What a node sees of itself at this moment, asked of the system and of its processes: nothing of it is desired state. */
export const nodeFactsSchema = z.object({
  node: nodeIdSchema,
  version: z.string(),
  /** When its controlplane got the question and when it had the answer, by its clock, Unix milliseconds. */
  receivedAtMs: z.number(),
  answeredAtMs: z.number(),
  wireguardIp: ipSchema,
  /** The addresses of this machine that packets to its public addresses arrive at. */
  publicAddresses: z.array(ipSchema),
  dataDir: z.string(),
  manager: z.enum(['processes', 'systemd']),
  ranges: z.object({ sfuSignaling: portRangeSchema, sfuMedia: portRangeSchema, turnRelay: portRangeSchema }),
  /** UDP sockets and listening TCP sockets of our services. */
  sockets: z.array(
    z.object({
      protocol: z.enum(['udp', 'tcp']),
      address: z.string(),
      port: z.int(),
      /** The unit that holds it; null where the system does not tell whose it is but the user's. */
      unit: z.string().nullable(),
    }),
  ),
  /** Where our services, but for SFUs and relays, listen outside of WireGuard by their configuration. */
  listeners: z.array(z.object({ protocol: z.enum(['udp', 'tcp']), address: z.string(), port: z.int() })),
  /** Units of services that run. */
  units: z.array(z.string()),
  /** Units of SFUs that have a folder with their configuration. */
  unitFolders: z.array(z.string()),
  /** Namespaces that have a folder. */
  namespaceFolders: z.array(z.string()),
  /** The SFUs that belong here, as they answer. */
  sfus: z.array(
    z.object({
      namespace: namespaceNameSchema,
      healthy: z.boolean(),
      reason: z.string().nullable(),
      version: runningVersion,
    }),
  ),
  gateway: z.object({ healthy: z.boolean(), reason: z.string().nullable(), version: runningVersion }),
  /** This node's rqlited, or the file; `reason` is null when it serves. */
  store: z.object({ reason: z.string().nullable() }),
  turn: z.object({
    running: z.boolean(),
    version: runningVersion,
    /** Why it is not running. */
    reason: z.string().nullable(),
    /** An operator keeps it down. */
    held: z.boolean(),
    draining: z.boolean(),
    port: portSchema,
    tlsPort: portSchema,
    tenants: z.array(namespaceNameSchema),
    certificates: z.array(turnCertificateStatusSchema),
  }),
  /** Files that hold secrets, with their permission bits, and whether somebody owns them but root and our services' user. */
  secretFiles: z.array(z.object({ path: z.string(), mode: z.int(), isForeign: z.boolean() })),
  dns: z.object({
    writer: z.enum(['file', 'embedded', 'powerdns', 'rfc2136']),
    /** Why this node's own nameserver gives no answer; null when it does, and where it has none. */
    reason: z.string().nullable(),
    /** Servers that answer for the base domain, as this node knows them. */
    servers: z.array(endpointSchema),
    /** Lines of the zone file, where that is the writer and it is there. */
    zoneFile: z.object({ path: z.string(), text: z.string() }).nullable(),
  }),
});
export type NodeFacts = z.infer<typeof nodeFactsSchema>;

const blockBase = { node: nodeIdSchema, namespace: namespaceNameSchema, address: ipSchema, leaving: z.boolean() };

/** What the store says must be. */
export const clusterFactsSchema = z.object({
  baseDomain: z.string(),
  /** The cluster's own name, at which gateways answer operators; null where they do not. */
  operatorHost: z.string().nullable().default(null),
  /** Whether URIs carry the TURN name of a namespace, and not addresses. */
  turnNames: z.boolean(),
  /** Whether the cluster gets certificates for the names of gateways; a node of another release does not say. */
  gatewayCertificates: z.boolean().default(false),
  /** Whether TURN over TLS is on port 443 as well. */
  turnPort443: z.boolean(),
  nodes: z.array(
    z.object({
      id: nodeIdSchema,
      state: z.enum(['active', 'draining', 'gone']),
      wireguardIp: ipSchema,
      publicIp: ipSchema,
      publicIp6: ipSchema.nullable(),
    }),
  ),
  namespaces: z.array(
    z.object({
      name: namespaceNameSchema,
      webrtc: z.enum(['off', 'enabling', 'enabled', 'disabling']),
      sfuNodeCount: z.int(),
      turnNodeCount: z.int(),
    }),
  ),
  /** Port blocks: which node runs which service, and on which ports. */
  blocks: z.array(
    z.discriminatedUnion('service', [
      z.object({ ...blockBase, service: z.literal('sfu'), signalingPort: portSchema, media: portRangeSchema }),
      z.object({
        ...blockBase,
        service: z.literal('turn'),
        port: portSchema,
        tlsPort: portSchema,
        relay: portRangeSchema,
      }),
    ]),
  ),
  /** Stored DNS records. */
  records: z.array(z.object({ fqdn: z.string(), value: z.string(), namespace: z.string() })),
});
export type ClusterFacts = z.infer<typeof clusterFactsSchema>;
