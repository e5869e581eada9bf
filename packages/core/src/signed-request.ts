import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  SFU_CONTROL_KEY_INFO,
  SFU_SECRET_INFO,
  SFU_TICKET_MAX_CHARACTERS,
  SFU_TICKET_TTL_SEC,
  type SfuTicket,
  SIGNED_REQUEST_SKEW_SEC,
  sfuTicketSchema,
} from '@orama/protocol';

/** Header of a signed request: `<unix seconds>.<hex nonce>.<hex HMAC-SHA256>`. */
export const SIGNATURE_HEADER = 'x-orama-signature';

/** HKDF-SHA256 without salt, 32 bytes. */
export function deriveKey(secret: string, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', info, 32));
}

/** What a namespace's SFUs share with gateways and controlplanes, and with nobody else; it outlives every TURN secret. */
export function sfuSecretOf(clusterKey: string, namespace: string): string {
  return deriveKey(clusterKey, `${SFU_SECRET_INFO}:${namespace}`).toString('base64url');
}

/** The key that signs tickets and room commands of a namespace. */
export function sfuControlKey(sfuSecret: string): Buffer {
  return deriveKey(sfuSecret.trim(), SFU_CONTROL_KEY_INFO);
}

/** Compares two texts in time that depends on neither's content. */
export function equalsConstantTime(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest();
  const right = createHash('sha256').update(b).digest();
  return timingSafeEqual(left, right);
}

function signatureOf(
  key: Buffer,
  parts: { method: string; path: string; body: string; timeSec: string; nonce: string },
): string {
  const bodyHash = createHash('sha256').update(parts.body).digest('hex');
  const text = [
    'orama-signed-request-v1',
    parts.method.toUpperCase(),
    parts.path,
    parts.timeSec,
    parts.nonce,
    bodyHash,
  ].join('\n');
  return createHmac('sha256', key).update(text).digest('hex');
}

/**
 * Value of `SIGNATURE_HEADER` for a request.
 * @param path with its query string
 * @param body the exact text sent, '' for none
 */
export function signRequest(key: Buffer, method: string, path: string, body: string, nowMs: number): string {
  const timeSec = String(Math.floor(nowMs / 1000));
  const nonce = randomBytes(16).toString('hex');
  return `${timeSec}.${nonce}.${signatureOf(key, { method, path, body, timeSec, nonce })}`;
}

/** Checks signed requests: signature, clock skew (60 s) and replay. One per listener. */
export class RequestVerifier {
  readonly #key: Buffer;
  readonly #seen = new Map<string, number>();

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** Null when the request is genuine and new, else why not: `missing`, `malformed`, `skew`, `signature` or `replay`. */
  verify(header: string | undefined, method: string, path: string, body: string, nowMs: number): string | null {
    if (!header) return 'missing';
    const match = /^(\d{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})$/.exec(header);
    if (!match) return 'malformed';
    const [, timeSec = '', nonce = '', signature = ''] = match;
    const nowSec = nowMs / 1000;
    if (Math.abs(nowSec - Number(timeSec)) > SIGNED_REQUEST_SKEW_SEC) return 'skew';
    if (!equalsConstantTime(signature, signatureOf(this.#key, { method, path, body, timeSec, nonce })))
      return 'signature';
    this.#forget(nowSec);
    if (this.#seen.has(nonce)) return 'replay';
    this.#seen.set(nonce, Number(timeSec) + SIGNED_REQUEST_SKEW_SEC);
    return null;
  }

  // Nonces are kept in order of arrival, nearly the order in which they lapse.
  #forget(nowSec: number): void {
    for (const [nonce, until] of this.#seen) {
      if (until + SIGNED_REQUEST_SKEW_SEC > nowSec) break;
      this.#seen.delete(nonce);
    }
  }
}

/** Signs a ticket: base64url(JSON) "." hex(HMAC-SHA256). `exp` is set to 30 s from now. */
export function signTicket(key: Buffer, ticket: Omit<SfuTicket, 'exp'>, nowMs: number): string {
  const payload = Buffer.from(
    JSON.stringify({ ...ticket, exp: Math.floor(nowMs / 1000) + SFU_TICKET_TTL_SEC }),
  ).toString('base64url');
  return `${payload}.${createHmac('sha256', key).update(payload).digest('hex')}`;
}

/** The ticket inside `text`, or null when it is forged, malformed or expired. */
export function verifyTicket(key: Buffer, text: string | undefined, nowMs: number): SfuTicket | null {
  if (!text || text.length > SFU_TICKET_MAX_CHARACTERS) return null;
  const dot = text.indexOf('.');
  if (dot < 1) return null;
  const payload = text.slice(0, dot);
  if (!equalsConstantTime(text.slice(dot + 1), createHmac('sha256', key).update(payload).digest('hex'))) return null;
  try {
    const ticket = sfuTicketSchema.safeParse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
    return ticket.success && ticket.data.exp > nowMs / 1000 ? ticket.data : null;
  } catch {
    return null;
  }
}
