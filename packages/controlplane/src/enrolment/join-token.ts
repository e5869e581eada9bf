import { deriveKey, OramaError } from '@orama/core';
import { type JoinToken, joinTokenSchema } from '@orama/protocol';

const PREFIX = 'orama-join-';

/**
 * TLS of the two ends: with this cipher each proves to the other that it has the pre-shared key, and who records the
 * exchange cannot read it later with a token that he finds. TLS 1.3 of OpenSSL has no such keys that come from elsewhere.
 */
export const PSK_TLS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;

/** The pre-shared key of an invitation: any node can make it, and nothing keeps it. */
export function invitationSecret(clusterKey: string, id: string): Buffer {
  return deriveKey(clusterKey, `join-cluster:${id}`);
}

export function formatJoinToken(token: JoinToken): string {
  const text = JSON.stringify({ ...token, secretFiles: unlessEmpty(token.secretFiles) });
  return PREFIX + Buffer.from(text).toString('base64url');
}

/** Older releases refuse a field that they do not know; without secret files they need not. */
export function unlessEmpty<T>(secretFiles: T[]): T[] | undefined {
  return secretFiles.length === 0 ? undefined : secretFiles;
}

/** Throws INVALID_REQUEST, which does not repeat what was given. */
export function parseJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  try {
    if (!trimmed.startsWith(PREFIX)) throw new Error(`it does not begin with ${PREFIX}`);
    return joinTokenSchema.parse(JSON.parse(Buffer.from(trimmed.slice(PREFIX.length), 'base64url').toString('utf8')));
  } catch {
    throw new OramaError('INVALID_REQUEST', 'this is no join token, or only a part of one', {
      hint: 'copy the whole line that "orama node invite" printed on a node of the cluster, which has the same release',
    });
  }
}
