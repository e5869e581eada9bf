import { ipSchema, nodeIdSchema, portSchema } from '@orama/protocol';
import { z } from 'zod';

/** A process that cannot be mistaken for another one that got its number later. */
export const processIdentitySchema = z.object({
  pid: z.int().positive(),
  /** Kernel start time in clock ticks since boot: field 22 of /proc/<pid>/stat. */
  startTime: z.string(),
});
export type ProcessIdentity = z.infer<typeof processIdentitySchema>;

/** A local cluster has at most so many nodes. */
export const NODES_MAX = 9;

/** Asks the process that runs a local cluster for one more node. */
export const ADD_NODE_SIGNAL = 'SIGUSR2';

/** What the operator may choose about a local cluster. */
export const devSettingsSchema = z.object({
  /** First two octets of every address of the cluster. */
  loopbackPrefix: z.string().regex(/^127\.\d{1,3}$/, 'use 127.<0-255>'),
  /** Public port of the first gateway; the others take the next ones. */
  httpPort: portSchema,
  nodes: z.int().min(1).max(NODES_MAX),
  /** Where desired state is kept: one file, or an rqlited on each node. */
  store: z.enum(['sqlite', 'rqlite']).default('sqlite'),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']),
  /** Default TURN allocation lifetime in seconds; shortened by tests. */
  turnLifetimeSec: z.int().positive(),
  turnNonceLifetimeSec: z.int().positive(),
  /** Directory of one-shot crash points; tests only. */
  failpointDir: z.string().optional(),
});
export type DevSettings = z.infer<typeof devSettingsSchema>;

const devNodeSchema = z.object({
  id: nodeIdSchema,
  wireguardIp: ipSchema,
  publicIp: ipSchema,
  /** Base URL of the controlplane. */
  api: z.url(),
  /** Base URL of the gateway. */
  gateway: z.url(),
  /** Its rqlited, where the cluster has them. */
  rqlite: z.object({ http: z.url(), raft: z.string(), logFile: z.string() }).optional(),
  dataDir: z.string(),
  configFile: z.string(),
  logFile: z.string(),
});
export type DevNode = z.infer<typeof devNodeSchema>;

/** `<data dir>/dev.json`: where the local cluster is, written by its supervisor. */
export const devStateSchema = z.object({
  version: z.literal(1),
  state: z.enum(['starting', 'ready', 'stopping', 'stopped']),
  settings: devSettingsSchema,
  baseDomain: z.string(),
  clusterKeyFile: z.string(),
  nodes: z.array(devNodeSchema),
  supervisor: processIdentitySchema.nullable(),
  /** By node id. */
  controlplanes: z.record(z.string(), processIdentitySchema),
  /** The rqlited, by node id. */
  stores: z.record(z.string(), processIdentitySchema).default({}),
  startedAt: z.string(),
});
export type DevState = z.infer<typeof devStateSchema>;
