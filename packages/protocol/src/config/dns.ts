import { z } from 'zod';
import { hostNameSchema, ipSchema, portSchema } from '../names.ts';

/** Where the records of TURN servers and gateways are served. */
export const dnsConfigSchema = z.discriminatedUnion('writer', [
  /** A file that another DNS server includes in its zone. */
  z.strictObject({ writer: z.literal('file'), file: z.string().min(1) }),
  /** The controlplane of every node answers for the base domain by itself. */
  z.strictObject({
    writer: z.literal('embedded'),
    /** The node's public addresses, port 53, unless given. */
    listen: z
      .array(z.strictObject({ address: ipSchema, port: portSchema.default(53) }))
      .min(1)
      .max(8)
      .optional(),
    /** The names of the zone's servers; `<node>.dns.<baseDomain>` for every node unless given. The same on all nodes. */
    nameservers: z
      .array(z.strictObject({ name: hostNameSchema, addresses: z.array(ipSchema).max(4).default([]) }))
      .min(1)
      .max(8)
      .optional(),
    /** Mail address of who is responsible, with a dot in place of "@"; `hostmaster.<baseDomain>` unless given. */
    contact: hostNameSchema.optional(),
  }),
]);
export type DnsConfig = z.infer<typeof dnsConfigSchema>;

/** Whether a host name is a domain or lies below it. */
export function isNameIn(name: string, domain: string): boolean {
  return `.${name}`.toLowerCase().endsWith(`.${domain}`.toLowerCase());
}
