import { z } from 'zod';

const rqliteAddressSchema = z.string().regex(/^https?:\/\/(\[[0-9a-fA-F:]+\]|[^/@:?#\s]+):\d{1,5}$/, {
  error: 'is not scheme, host and port alone, such as http://10.0.0.1:4001; credentials go into credentialsFile',
});

/** Which store a process uses: a file of this machine, or the replicated one of the cluster. */
export const storeConfigSchema = z.discriminatedUnion('driver', [
  z.strictObject({ driver: z.literal('sqlite'), file: z.string().min(1) }),
  z.strictObject({
    driver: z.literal('rqlite'),
    /** Base URLs of rqlited's HTTP API, that of this node first. */
    addresses: z
      .tuple([rqliteAddressSchema], rqliteAddressSchema)
      .refine((all) => new Set(all).size === all.length, { error: 'names an address twice' })
      .refine((all) => new Set(all.map((each) => each.startsWith('https:'))).size === 1, {
        error: 'mixes http and https',
      }),
    /** Also ask members that are not among the addresses, such as nodes that joined after this was written. */
    learnMembers: z.boolean().optional(),
    /** File, mode 0600, with `user:password`. */
    credentialsFile: z.string().min(1).optional(),
    /** PEM certificates of the authority that rqlited's are of; the system's when absent. */
    caFile: z.string().min(1).optional(),
    /** How long a statement is tried in all, elections included, before the store counts as unavailable. */
    timeoutMs: z.int().min(1_000).max(60_000).default(8_000),
  }),
]);
export type StoreConfig = z.infer<typeof storeConfigSchema>;
