import { z } from 'zod';

/** Where the certificates of the names that clients meet come from. */
export const certificatesConfigSchema = z
  .discriminatedUnion('source', [
    /** From `turn.certFile`, by hand, or self-signed by the TURN server. */
    z.strictObject({ source: z.literal('none') }),
    /** A Caddy on this node asks an ACME authority for them, and renews them. */
    z.strictObject({
      source: z.literal('caddy'),
      /** Caddy's admin API. It knows no password, so that only this machine may reach it. */
      admin: z
        .string()
        .refine(isLocalAdmin, {
          error: 'use http://127.0.0.1:2019, another loopback address, or unix:/run/caddy/admin.sock',
        })
        .default('http://127.0.0.1:2019'),
      /** Folder that Caddy keeps certificates in; what its configuration says, else that of Debian's unit, unless given. */
      storage: z.string().startsWith('/', 'use an absolute path, such as /var/lib/caddy/.local/share/caddy').optional(),
      /** Whether Caddy serves the names of gateways as well, `ns-<namespace>.<base domain>`. */
      gateways: z.boolean().default(true),
    }),
  ])
  .prefault({ source: 'none' });
export type CertificatesConfig = z.infer<typeof certificatesConfigSchema>;

function isLocalAdmin(text: string): boolean {
  return /^(unix:\/.+|http:\/\/(127\.[0-9]+\.[0-9]+\.[0-9]+|localhost|\[::1\])(:[0-9]{1,5})?\/?)$/.test(text);
}
