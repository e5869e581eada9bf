import { createHmac, createSecretKey } from 'node:crypto';
import { inOrderToTry, type TurnCredentials } from '@orama/protocol';

/** `base64(HMAC-SHA1(secret, username))`; the secret is used as text, not decoded. */
export function turnPassword(secret: string, username: string): string {
  // As a key object: Node takes raw keys too, and three times as long with them.
  return createHmac('sha1', createSecretKey(secret, 'utf8')).update(username).digest('base64');
}

/** Makes a credential `<expiry>:<namespace>` that lives `ttlSec` from `nowMs`, with the URIs in the order to try. */
export function issueTurnCredentials(options: {
  secret: string;
  namespace: string;
  ttlSec: number;
  uris: readonly string[];
  nowMs: number;
}): TurnCredentials {
  const expiry = Math.floor(options.nowMs / 1000) + options.ttlSec;
  const username = `${expiry}:${options.namespace}`;
  return {
    uris: inOrderToTry(options.uris),
    username,
    password: turnPassword(options.secret, username),
    ttl: options.ttlSec,
  };
}

/** Takes a username apart at its first ':'; null when it has not that form. */
export function parseTurnUsername(username: string): { expirySec: number; namespace: string } | null {
  const match = /^(\d{1,12}):(.+)$/.exec(username);
  return match ? { expirySec: Number(match[1]), namespace: match[2] as string } : null;
}
