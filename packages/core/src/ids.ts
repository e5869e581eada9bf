import { randomBytes } from 'node:crypto';

/** A random id of `bytes` bytes in base64url, behind a prefix: `op_3fX...`. */
export function newId(prefix: string, bytes = 12): string {
  return `${prefix}_${randomBytes(bytes).toString('base64url')}`;
}
