import { randomBytes } from 'node:crypto';
import { type Clock, parseTurnUsername, turnPassword } from '@orama/core';
import type { Allocation } from '../allocation/allocation.ts';
import type { ClientTransport } from '../listener/client-transport.ts';
import {
  ATTRIBUTE,
  longTermKey,
  PASSWORD_ALGORITHMS,
  type PasswordAlgorithm,
  readPasswordAlgorithm,
  type StunMessage,
} from '../stun/index.ts';
import type { TenantRegistry } from '../tenant/registry.ts';
import type { Tenant } from '../tenant/tenant.ts';
import type { Nonces } from './nonces.ts';

/** Who a request comes from. */
export interface Identity {
  readonly tenant: Tenant;
  readonly username: string;
  /** When the credential ends; only Allocate asks. */
  readonly expirySec: number;
  /** The tenant's secret that the password was made of. */
  readonly secret: string;
  /** The long-term key; it seals the answer. */
  readonly key: Buffer;
}

/**
 * What a request has shown nevertheless: that its sender is at the address it gives, for the nonce was given to it there,
 * or that it knows the password too.
 */
type Proof = 'none' | 'address' | 'identity';

/** `reason` is a metric label, never a user's text. */
export type Authentication =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly code: 400 | 401 | 438; readonly reason: string; readonly proof: Proof };

/** Length of the longest username that is looked at: an expiry, a colon and a namespace. */
const USERNAME_MAX_BYTES = 64;
const DECOY_USERNAME = '1700000000:nobody';

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
    // 1. No integrity: the client learns realm and nonce.
    if (message.integrity === undefined) return refused(401, 'no-credentials');
    // 2. Integrity without what it is made of. A hash of a username cannot be looked up where usernames are not stored:
    // no user has it, and the nonce we answer with does not offer it.
    const username = message.bytes(ATTRIBUTE.username);
    const nonce = message.bytes(ATTRIBUTE.nonce);
    const hashed = username === undefined && message.has(ATTRIBUTE.userhash);
    if ((username === undefined && !hashed) || nonce === undefined || !message.has(ATTRIBUTE.realm)) {
      return refused(400, 'incomplete-credentials');
    }
    // 3. The password algorithm is one of those we offered, and nobody has changed the offer on the way.
    const algorithm = chosenAlgorithm(message);
    if (algorithm === undefined) return refused(400, 'password-algorithm');
    // 4. A nonce that was never given to this client is nothing that we have to work out keys for: whoever forges
    // addresses has no other.
    const nonceState = this.#nonces.judge(nonce, client.id, this.#clock.now());
    if (nonceState === 'foreign') return refused(438, 'foreign-nonce');
    // 5. The username names the tenant, whose secrets make the password; then the integrity is compared.
    const identity = username && this.#identify(message, username, algorithm, client.allocation);
    if (identity === undefined) {
      return refused(401, hashed ? 'hashed-username' : 'wrong-credentials', 'address');
    }
    // 6. The key is right; the nonce may be too old.
    if (nonceState === 'stale') return refused(438, 'stale-nonce', 'identity');
    return { ok: true, identity };
  }

  #identify(
    message: StunMessage,
    usernameBytes: Buffer,
    algorithm: PasswordAlgorithm,
    allocation: Allocation | undefined,
  ): Identity | undefined {
    const username = usernameBytes.length <= USERNAME_MAX_BYTES ? usernameBytes.toString('utf8') : '';
    const parsed = parseTurnUsername(username);
    const tenant = parsed === null ? undefined : this.#tenants.get(parsed.namespace);
    if (parsed === null || tenant === undefined) {
      message.integrityMatches(this.#key(DECOY_USERNAME, this.#decoySecret, algorithm));
      return undefined;
    }
    for (const secret of tenant.secretsOf(allocation)) {
      const key = this.#key(username, secret, algorithm);
      if (message.integrityMatches(key)) return { tenant, username, expirySec: parsed.expirySec, secret, key };
    }
    return undefined;
  }

  #key(username: string, secret: string, algorithm: PasswordAlgorithm): Buffer {
    return longTermKey(username, this.#realm, turnPassword(secret, username), algorithm);
  }
}

function refused(code: 400 | 401 | 438, reason: string, proof: Proof = 'none'): Authentication {
  return { ok: false, code, reason, proof };
}

/** The algorithm a request names, MD5 when it names none; undefined when it names none of those we offered. */
function chosenAlgorithm(message: StunMessage): PasswordAlgorithm | undefined {
  const chosen = message.bytes(ATTRIBUTE.passwordAlgorithm);
  const offered = message.bytes(ATTRIBUTE.passwordAlgorithms);
  if (chosen === undefined && offered === undefined) return 'md5';
  return chosen !== undefined && offered?.equals(PASSWORD_ALGORITHMS) ? readPasswordAlgorithm(chosen) : undefined;
}
