import type { IncomingHttpHeaders } from 'node:http';
import { type Clock, KeyedTokenBuckets, UserError } from '@orama/core';
import type { RoomPermissions } from '@orama/protocol';
import { hashKey, type KeysRepository, type ReadLevel } from '@orama/store';
import { readApiKey, unauthorized } from './credentials.ts';
import { namespaceOfHost } from './host.ts';

/** What a caller may do: an owner administers the namespace's rooms, a member uses them. */
export type Role = 'owner' | 'member';

/** Who makes a request. */
export interface Principal {
  namespace: string;
  keyId: string;
  role: Role;
  /** What the caller may do in the rooms it joins. */
  permissions: RoomPermissions;
  /** Stable name of the caller towards the SFU; for a shared key it is the key. */
  identity: string;
  /** Hex SHA-256 of the key, to ask again whether it still holds. */
  keyHash: string;
}

/** How long a key that was found is believed without asking the store again: revoking takes effect within it. */
const KEY_CACHE_MS = 2_000;
const KEY_CACHE_MAX = 10_000;

/** Tells who makes a request from its host and credential. */
export class Authenticator {
  readonly #keys: KeysRepository;
  readonly #baseDomain: string;
  readonly #clock: Clock;
  readonly #perKey: KeyedTokenBuckets;
  readonly #found = new Map<string, { principal: Principal; untilMs: number }>();

  constructor(options: {
    keys: KeysRepository;
    baseDomain: string;
    clock: Clock;
    requestsPerKey: { burst: number; perSec: number };
  }) {
    this.#keys = options.keys;
    this.#baseDomain = options.baseDomain;
    this.#clock = options.clock;
    this.#perKey = new KeyedTokenBuckets(options.requestsPerKey);
  }

  /**
   * The caller of a request.
   * @param query the query of a WebSocket; null for every other request
   * @throws UserError UNAUTHORIZED (no or unknown key), FORBIDDEN (key of another namespace than the host's), RATE_LIMITED
   */
  async authenticate(headers: IncomingHttpHeaders, query: URLSearchParams | null): Promise<Principal> {
    const principal = await this.#lookUp(hashKey(readApiKey(headers, query)));
    if (!principal) throw unauthorized('the API key is not valid');
    const wanted = namespaceOfHost(headers.host, this.#baseDomain);
    if (wanted !== null && wanted !== principal.namespace) {
      throw new UserError('FORBIDDEN', 'this credential belongs to another namespace', {
        hint: "use the host of the credential's own namespace",
      });
    }
    if (!this.#perKey.take(principal.keyId, this.#clock.monotonic())) {
      throw new UserError('RATE_LIMITED', 'too many requests with this API key', { retryable: true });
    }
    return principal;
  }

  /** Whether the key of a caller who was let in earlier still holds. */
  async stillHolds(principal: Principal): Promise<boolean> {
    const { keyHash } = principal;
    // A former leader of the store may not know the key yet: nobody is sent away on its word.
    return (await this.#lookUp(keyHash)) !== null || (await this.#lookUp(keyHash, 'strong')) !== null;
  }

  async #lookUp(hash: string, level?: ReadLevel): Promise<Principal | null> {
    const nowMs = this.#clock.monotonic();
    const cached = this.#found.get(hash);
    if (cached && cached.untilMs > nowMs) return cached.principal;
    this.#found.delete(hash);
    const row = await this.#keys.findByHash(hash, level);
    if (row?.state !== 'active') return null;
    const principal: Principal = {
      namespace: row.namespace,
      keyId: row.id,
      role: 'owner',
      permissions: { publish: true, subscribe: true, data: true },
      identity: `key:${row.id}`,
      keyHash: hash,
    };
    if (this.#found.size >= KEY_CACHE_MAX) this.#found.clear();
    this.#found.set(hash, { principal, untilMs: nowMs + KEY_CACHE_MS });
    return principal;
  }
}
