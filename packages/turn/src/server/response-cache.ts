import { sourceKey } from '@orama/core';
import type { ClientTransport } from '../listener/client-transport.ts';
import type { StunMessage } from '../stun/index.ts';
import type { Tenant } from '../tenant/tenant.ts';
import type { Identity } from './authenticator.ts';

/** How long an answer is kept for retransmissions of its request (RFC 8489 section 6.2.1: 39.5 s of them). */
const KEEP_MS = 40_000;
/** Answers of one 5-tuple. Whoever has more requests under way than this has had answers to the older ones. */
const MAX_OF_CLIENT = 16;
/** Answers of a whole server, shared evenly by its workers: 43 MB at most. */
const MAX_OF_SERVER = 32_768;
/** Answers, of 1.3 KB at most with all that finds them, for each allocation that a source or a namespace may have. */
const MAX_OF_ALLOCATION = 10;
/** One in so many answers is forgotten at a time, and so many at least: 10,000 in a row take 60 ms, in which nothing is relayed. */
const SHARE = 32;

/** A request that has come: its answer, or `undefined` while that is being made. */
interface Entry {
  readonly answer: Buffer | undefined;
  readonly expiresAtMs: number;
  readonly shares: readonly string[];
  /** That the request was authenticated by. */
  readonly secret: string;
}

/** Whose answer is kept. */
interface AnswerOwner extends Pick<Identity, 'secret'> {
  readonly tenant: Pick<Tenant, 'namespace' | 'maxAllocations'>;
}

/**
 * Answers to authenticated requests over UDP, so that a retransmitted request gets the same answer and is not done
 * twice (RFC 8489 section 6.3.1), not while the first copy is being done either. Firefox and lossy networks repeat
 * Allocate. A client, a source and a namespace have a share each, and push nobody's answers out but their own; when there
 * are too many of all together, the namespace with the most loses its oldest.
 */
export class ResponseCache {
  /** In the order of their age. */
  readonly #entries = new Map<string, Entry>();
  /** Keys of the answers that a client, a source in a namespace or a namespace has, in the order of their age. */
  readonly #shares = new Map<string, Set<string>>();
  /** Namespaces that have answers. */
  readonly #namespaces = new Set<string>();
  readonly #maxOfSource: number;
  readonly #max: number;

  /**
   * @param maxAllocationsPerSource allocations that one source may have in each namespace
   * @param workers caches that the server has
   */
  constructor(maxAllocationsPerSource: number, workers: number) {
    this.#maxOfSource = MAX_OF_ALLOCATION * maxAllocationsPerSource;
    this.#max = Math.floor(MAX_OF_SERVER / workers);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The answer to an earlier copy of the request, `pending` while it is being made, undefined when there was none. */
  find(key: string, nowMs: number): Buffer | 'pending' | undefined {
    const found = this.#entries.get(key);
    return found !== undefined && found.expiresAtMs > nowMs ? (found.answer ?? 'pending') : undefined;
  }

  /** Remembers an authenticated request; without an answer that one is being made, and will be kept. */
  keep(
    key: string,
    client: Pick<ClientTransport, 'id' | 'remoteAddress'>,
    { tenant: { namespace, maxAllocations }, secret }: AnswerOwner,
    answer: Buffer | undefined,
    nowMs: number,
  ): void {
    // Put anew, so that the order stays that of age.
    this.#drop(key);
    const source = `${namespace} ${sourceKey(client.remoteAddress)}`;
    this.#entries.set(key, { answer, expiresAtMs: nowMs + KEEP_MS, shares: [client.id, source, namespace], secret });
    this.#join(client.id, key, MAX_OF_CLIENT);
    this.#join(source, key, this.#maxOfSource);
    this.#namespaces.add(namespace);
    this.#join(namespace, key, MAX_OF_ALLOCATION * maxAllocations);
    if (this.#entries.size > this.#max) this.#dropOldest(this.#largestNamespace());
  }

  /** Forgets a namespace's answers to whoever used another secret than these: what they were given has ended. */
  forget(namespace: string, secrets: readonly string[]): void {
    for (const key of this.#shares.get(namespace) ?? []) {
      const secret = this.#entries.get(key)?.secret;
      if (secret !== undefined && !secrets.includes(secret)) this.#drop(key);
    }
  }

  /**
   * Forgets what no retransmission can ask for any more, some of it when there is much. Called once a second, so that
   * what steadily comes for forty seconds goes as fast as it comes.
   */
  sweep(nowMs: number): void {
    let leaving = Math.max(SHARE, Math.ceil(this.#entries.size / SHARE));
    for (const [key, { expiresAtMs }] of this.#entries) {
      if (expiresAtMs > nowMs || leaving === 0) return;
      this.#drop(key);
      leaving--;
    }
  }

  #join(share: string, key: string, max: number): void {
    let keys = this.#shares.get(share);
    if (keys === undefined) {
      keys = new Set();
      this.#shares.set(share, keys);
    }
    keys.add(key);
    if (keys.size > max) this.#dropOldest(keys);
  }

  #largestNamespace(): ReadonlySet<string> {
    let largest: ReadonlySet<string> = new Set();
    for (const namespace of this.#namespaces) {
      const keys = this.#shares.get(namespace);
      if (keys === undefined) this.#namespaces.delete(namespace);
      else if (keys.size > largest.size) largest = keys;
    }
    return largest;
  }

  /** Some at once: the way to a set's first key leads past those that were deleted. */
  #dropOldest(keys: ReadonlySet<string>): void {
    let leaving = Math.ceil(keys.size / SHARE);
    for (const oldest of keys) {
      this.#drop(oldest);
      leaving--;
      if (leaving === 0) return;
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    for (const share of entry.shares) {
      const keys = this.#shares.get(share);
      keys?.delete(key);
      if (keys?.size === 0) this.#shares.delete(share);
    }
  }
}

/**
 * What a request and its retransmissions have in common: the 5-tuple, the transaction id, the size, and the seal over the
 * whole of it. Only whoever has seen an authentic request can send that, and gets nothing by it that has not been sent
 * there before: so a copy is not authenticated again, and its credential may have ended meanwhile. Undefined for a request
 * without a seal.
 */
export function requestKey(clientId: string, message: StunMessage): string | undefined {
  const seal = message.seal?.toString('latin1');
  if (seal === undefined) return undefined;
  return `${clientId} ${message.buffer.length} ${message.transactionId.toString('latin1')}${seal}`;
}
