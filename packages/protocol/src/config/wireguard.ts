import { z } from 'zod';
import { ipSchema, portSchema } from '../names.ts';

/** Name of a network interface, as Linux takes it (IFNAMSIZ), without what a shell or a path could misread. */
export const interfaceNameSchema = z
  .string()
  .regex(
    /^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/,
    'use the name of a network interface: at most 15 letters, digits, ".", "_", "-"',
  );

/** A Curve25519 public key, 32 bytes in base64. */
export const wireguardKeySchema = z
  .string()
  .regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, 'is no WireGuard key: 32 bytes in base64');

/** `address:port`, or `[address]:port` for IPv6. */
export const endpointSchema = z.string().refine(
  (text) => {
    const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
    return ipSchema.safeParse(parts?.[1] ?? parts?.[2]).success && portSchema.safeParse(Number(parts?.[3])).success;
  },
  { error: 'use an address and a port, such as 203.0.113.1:51820 or [2001:db8::1]:51820' },
);

/** The WireGuard interface of a node whose peers its controlplane keeps. */
export const wireguardConfigSchema = z.strictObject({
  /** Its file is `/etc/wireguard/<interface>.conf`. */
  interface: interfaceNameSchema,
  publicKey: wireguardKeySchema,
  /** Where the other nodes reach it. */
  endpoint: endpointSchema,
});
export type WireguardConfig = z.infer<typeof wireguardConfigSchema>;

/** Where machines that join are answered while an invitation is open. */
export const invitationsConfigSchema = z.strictObject({
  listen: z.strictObject({ address: ipSchema, port: portSchema }),
  /** The same as they reach it, where that is another address. */
  endpoint: endpointSchema,
});
