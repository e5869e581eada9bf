import { z } from 'zod';
import { canonicalIp } from './canonical-ip.ts';

/** A namespace (tenant): DNS label of at most 42 characters, so that `ns-<name>` still fits a label. */
export const namespaceNameSchema = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/,
    'use 1-42 characters a-z, 0-9 and "-", not starting or ending with "-"',
  );

/** A room id: 1-128 printable ASCII characters without space (0x21-0x7e). */
export const roomIdSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'use 1-128 printable ASCII characters without spaces');

/** A node id, as the operator named it. */
export const nodeIdSchema = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'use 1-63 characters a-z, 0-9 and "-"');

export const portSchema = z.int().min(1).max(65535);
/** First port of a block of relay addresses: what lies below belongs to the system's services. */
export const relayPortSchema = portSchema.min(1024, 'relay ports begin at 1024: those below belong to system services');
/** A host name (RFC 1123 section 2.1) without final dot: never an address, for its last label is no number. */
export const hostNameSchema = z
  .string()
  .regex(
    /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*(?![0-9]+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i,
    'use a host name such as turn.ns-demo.example.com: labels of a-z, 0-9 and "-" with dots between them',
  );
/** Below which the names of namespaces are. Also the realm of TURN credentials, which has fewer than 128 characters (RFC 8489 section 14.9). */
export const baseDomainSchema = hostNameSchema.max(127, 'use a base domain of at most 127 characters').toLowerCase();
/** An IPv4 or IPv6 address in text form, from here on in the spelling of DNS and the kernel. */
export const ipSchema = z
  .union([z.ipv4(), z.ipv6()], { error: 'use an IPv4 or IPv6 address without brackets and port' })
  .overwrite(canonicalIp);
/** The same, of IPv6 alone. */
export const ipv6Schema = z.ipv6().overwrite(canonicalIp);

/** `ns-<namespace>.<baseDomain>`: the host of a namespace's gateway. */
export function namespaceHost(namespace: string, baseDomain: string): string {
  return `ns-${namespace}.${baseDomain}`;
}

/** `api.<baseDomain>`: the cluster's own name, at which its gateways answer operators. */
export function operatorHost(baseDomain: string): string {
  return `api.${baseDomain}`;
}

/** `turn.ns-<namespace>.<baseDomain>`: the name of a namespace's TURN servers. */
export function turnDomain(namespace: string, baseDomain: string): string {
  return `turn.${namespaceHost(namespace, baseDomain)}`;
}
