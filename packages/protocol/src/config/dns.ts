import { z } from 'zod';
import { hostNameSchema, ipSchema, portSchema } from '../names.ts';
import { timerMsSchema } from './common.ts';

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
  /** A zone of a PowerDNS server, by its HTTP API. */
  z.strictObject({
    writer: z.literal('powerdns'),
    /** Of its web server. */
    url: z.url({ protocol: /^https?$/, error: 'use a URL such as http://127.0.0.1:8081' }),
    /** PowerDNS's own name of the server. */
    server: z.string().min(1).default('localhost'),
    /** The zone that holds the base domain; the base domain itself unless given. */
    zone: hostNameSchema.optional(),
    /** Holds the `api-key` of pdns.conf; readable by its owner alone. */
    apiKeyFile: z.string().min(1),
    timeoutMs: timerMsSchema.default(5_000),
  }),
  /** A zone of any server that takes dynamic updates (RFC 2136) and gives transfers, signed by TSIG (RFC 8945). */
  z.strictObject({
    writer: z.literal('rfc2136'),
    server: z.strictObject({ address: ipSchema, port: portSchema.default(53) }),
    /** The zone that holds the base domain; the base domain itself unless given. */
    zone: hostNameSchema.optional(),
    tsig: z.strictObject({
      name: hostNameSchema,
      algorithm: z.enum(['hmac-sha256', 'hmac-sha512']).default('hmac-sha256'),
      /** Holds the secret in base64; readable by its owner alone. */
      keyFile: z.string().min(1),
    }),
    timeoutMs: timerMsSchema.default(5_000),
  }),
]);
export type DnsConfig = z.infer<typeof dnsConfigSchema>;

/** The file that holds what a writer proves itself with; undefined for those that need nothing. */
export function dnsSecretFile(dns: DnsConfig): string | undefined {
  if (dns.writer === 'powerdns') return dns.apiKeyFile;
  return dns.writer === 'rfc2136' ? dns.tsig.keyFile : undefined;
}

/** Whether a host name is a domain or lies below it. */
export function isNameIn(name: string, domain: string): boolean {
  return `.${name}`.toLowerCase().endsWith(`.${domain}`.toLowerCase());
}
