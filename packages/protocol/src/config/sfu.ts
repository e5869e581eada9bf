import { z } from 'zod';
import { DEFAULT_TURN_CREDENTIAL_TTL_SEC } from '../limits.ts';
import { ipSchema, namespaceNameSchema, nodeIdSchema, portSchema } from '../names.ts';
import { cidrSchema, logLevelSchema } from './common.ts';

/** Configuration file of one SFU process. */
export const sfuConfigSchema = z.strictObject({
  node: nodeIdSchema,
  namespace: namespaceNameSchema,
  /** Address for signalling and media; must lie in `wireguardNetwork`. */
  address: ipSchema,
  wireguardNetwork: cidrSchema,
  signalingPort: portSchema,
  mediaPortStart: portSchema,
  mediaPortEnd: portSchema,
  /** File with the secret that signs tickets and room commands, mode 0600. */
  secretFile: z.string().min(1),
  /** Credentials pushed to clients. Of the whole file this and `generation` are read again while the SFU runs, once a second. */
  turn: z.strictObject({
    /** The TURN secret that credentials are made of. Keeps the file at mode 0600. */
    secret: z.string().min(16),
    /** TURN URIs of the servers that take allocations now. */
    uris: z.array(z.string()),
    credentialTtlSec: z.int().positive().default(DEFAULT_TURN_CREDENTIAL_TTL_SEC),
  }),
  /**
   * Processes that rooms may be spread over, each with its share of the media ports. The first is always there, another
   * starts when those that run are busy. `auto`: one a core, as far as the ports go.
   */
  workers: z.union([z.literal('auto'), z.int().min(1).max(32)]).default('auto'),
  /** Drop client candidates that are not `relay`. */
  forceRelay: z.boolean().default(true),
  drainTimeoutMs: z.int().positive().default(30_000),
  /** Of the settings that the file was written from; shown by `/healthz`. */
  generation: z.int().nonnegative().default(0),
  logLevel: logLevelSchema,
});
export type SfuConfig = z.infer<typeof sfuConfigSchema>;
export type SfuConfigInput = z.input<typeof sfuConfigSchema>;
