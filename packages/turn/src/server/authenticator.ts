import { randomBytes } from 'node:crypto';
import { type Clock, parseTurnUsername, turnPassword } from '@orama/core';
import type { ClientTransport } from '../listener/client-transport.ts';
import { ATTRIBUTE, longTermKey, type StunMessage } from '../stun/index.ts';
import type { TenantRegistry } from '../tenant/registry.ts';
import type { Tenant } from '../tenant/tenant.ts';
import type { Nonces } from './nonces.ts';

/** Who a request comes from. */
export interface Identity {
  readonly tenant: Tenant;
  readonly username: string;
  /** When the credential ends; only Allocate asks. */
  readonly expirySec: number;
  readonly key: Buffer;
}

/** `reason` is a metric label, never a user's text. */
export type Authentication =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly code: 400 | 401 | 438; readonly reason: string };

/** Length of the longest username that is looked at: an expiry, a colon and a namespace. */
const USERNAME_MAX_BYTES = 64;

/** Long-term credentials with REST usernames `<expiry>:<namespace>` (RFC 8489 section 9.2.4). */
export class Authenticator {
  readonly #realm: string;
  readonly #tenants: TenantRegistry;
  readonly #nonces: Nonces;
  readonly #clock: Clock;
  /** Stands in for the secret of an unknown tenant, so that the answer takes as long as for a known one. */
  readonly #decoySecret = randomBytes(32).toString('base64');

  constructor(options: { realm: string; tenants: TenantRegistry; nonces: Nonces; clock: Clock }) {
    this.#realm = options.realm;
    this.#tenants = options.tenants;
    this.#nonces = options.nonces;
    this.#clock = options.clock;
  }

  authenticate(message: StunMessage, client: ClientTransport): Authentication {
    // 1. No MESSAGE-INTEGRITY: the client learns realm and nonce.
    if (!message.hasIntegrity) return { ok: false, code: 401, reason: 'no-credentials' };
    // 2. MESSAGE-INTEGRITY without what it is made of.
    const username = message.bytes(ATTRIBUTE.username);
    const nonce = message.bytes(ATTRIBUTE.nonce);
    if (username === undefined || nonce === undefined || !message.has(ATTRIBUTE.realm)) {
      return { ok: false, code: 400, reason: 'incomplete-credentials' };
    }
    // 3. The username names the tenant, whose secrets make the password; then the integrity is compared.
    const identity = this.#identify(message, username, client);
    if (identity === undefined) return { ok: false, code: 401, reason: 'wrong-credentials' };
    // 4. The key is right; the nonce may be too old.
    if (!this.#nonces.isValid(nonce, client.remoteAddress, this.#clock.now())) {
      return { ok: false, code: 438, reason: 'stale-nonce' };
    }
    return { ok: true, identity };
  }

  #identify(message: StunMessage, usernameBytes: Buffer, client: ClientTransport): Identity | undefined {
    const username = usernameBytes.length <= USERNAME_MAX_BYTES ? usernameBytes.toString('utf8') : '';
    const parsed = parseTurnUsername(username);
    const tenant = parsed === null ? undefined : this.#tenants.get(parsed.namespace);

    // The user of a live allocation is checked with the key that made it, so that a call outlives a rotated secret.
    const allocation = client.allocation;
    if (tenant && parsed && allocation?.username === username && message.integrityMatches(allocation.key)) {
      return { tenant, username, expirySec: parsed.expirySec, key: allocation.key };
    }
    for (const secret of tenant?.secrets ?? [this.#decoySecret]) {
      const key = longTermKey(username, this.#realm, turnPassword(secret, username));
      const matches = message.integrityMatches(key);
      if (matches && tenant && parsed) return { tenant, username, expirySec: parsed.expirySec, key };
    }
    return undefined;
  }
}
