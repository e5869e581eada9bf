import { setTimeout } from 'node:timers/promises';
import { backoffMs, ConfigError, describeError, OramaError } from '@orama/core';
import { StoreUnavailableError } from '../database.ts';
import { AnswerTooLargeError, type RqliteAnswer, RqliteHttp, type RqliteRequest } from './http.ts';

/** How rqlited processes are reached. */
export interface RqliteAccess {
  /** Base URLs of some or all of the cluster, such as `http://10.0.0.1:4001`; asked in this order. */
  addresses: readonly [string, ...string[]];
  /** Whether members that are not among the addresses are asked as well, once they are known. */
  learnMembers?: boolean | undefined;
  /** `user:password`. */
  credentials?: string | undefined;
  /** PEM certificates to trust instead of the system's. */
  ca?: string | undefined;
  /** How long a statement is tried in all before the store counts as unavailable. */
  timeoutMs: number;
}

/** A single attempt gets this part of the whole time, so that a process that hangs leaves time for the others. */
const ATTEMPT_SHARE = 4;
const PAUSE_MS = { first: 20, most: 400 };
/** An address that failed a moment ago is not followed to again at once: the others have yet to notice that it is gone. */
const AVOID_MS = 300;
const LOAD_TIMEOUT_MS = 120_000;
/** Answers to missing or wrong credentials. */
const REFUSED = new Set([401, 403]);
/** Nothing was sent when these happen. */
const NOT_SENT = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL']);

/** How often members are looked for. */
const LEARN_MS = 30_000;

/** Leaders named one after the other before it counts as there being none. */
const MAX_HOPS = 3;

/** What rqlited says of each statement. */
export interface StatementAnswer {
  error?: string;
  rows_affected?: number;
  columns?: string[];
  values?: unknown[][];
}

export interface Outcome {
  results: StatementAnswer[];
  /** Whether an earlier attempt of the same request may have been, or may yet be, carried out. */
  doubtful: boolean;
}

/** A member of the cluster. */
export interface RqliteNode {
  id: string;
  /** Base URL of its HTTP API; empty where it cannot be reached. */
  address: string;
  leader: boolean;
  reachable: boolean;
}

type Attempt = { body: unknown } | { leader: string } | { reason: string; sent: boolean };

/** Finds whoever can answer: remembers the leader, follows redirects to it, and goes on to other addresses when one fails. */
export class RqliteCluster {
  readonly #access: RqliteAccess;
  readonly #http: RqliteHttp;
  /** Addresses of members that are not configured, by id. */
  readonly #learned = new Map<string, string>();
  #learnedAtMs = Number.NEGATIVE_INFINITY;
  /** Origin that last answered as the leader. */
  #leader: string | undefined;
  /** Nothing is tried after this, by `performance.now()`. */
  #endMs = Number.POSITIVE_INFINITY;

  constructor(access: RqliteAccess) {
    this.#access = access;
    this.#http = new RqliteHttp(access.credentials, access.ca);
  }

  get addresses(): readonly [string, ...string[]] {
    const [first, ...others] = this.#access.addresses;
    return [first, ...others, ...this.#learned.values()];
  }

  /**
   * Sends the request until a node answers it, for as long as `timeoutMs` allows; so it must be one that does no harm
   * when it is carried out twice. Throws StoreUnavailableError, or ConfigError when the credentials are refused.
   * @param how `first`: address to begin with instead of the leader; `timeoutMs`: for what takes longer than statements
   */
  async ask(request: RqliteRequest, how: { first?: string; timeoutMs?: number } = {}): Promise<Outcome> {
    const { addresses } = this;
    const { first, timeoutMs = this.#access.timeoutMs } = how;
    const deadlineMs = performance.now() + timeoutMs;
    const failed = new Map<string, { atMs: number; reason: string }>();
    let target = first ?? this.#leader ?? addresses[0];
    let doubtful = false;
    let hops = 0;
    for (let failures = 0; ; ) {
      const leftMs = Math.min(deadlineMs, this.#endMs) - performance.now();
      if (leftMs <= 0) throw unavailable(timeoutMs, failed);
      const attempt = await this.#attempt(target, request, Math.min(leftMs, timeoutMs / ATTEMPT_SHARE));
      if ('body' in attempt) {
        if (first === undefined) this.#leader = target;
        this.#learnMembers();
        return { results: (attempt.body as { results?: StatementAnswer[] }).results ?? [], doubtful };
      }
      if ('leader' in attempt) {
        const before = failed.get(attempt.leader);
        hops += 1;
        if (hops <= MAX_HOPS && (!before || performance.now() - before.atMs > AVOID_MS)) {
          target = attempt.leader;
          continue;
        }
      } else {
        const atMs = performance.now();
        // One that the deadline cut short says less than the one before it.
        const reason = atMs < deadlineMs ? undefined : failed.get(target)?.reason;
        failed.set(target, { atMs, reason: reason ?? attempt.reason });
        doubtful ||= attempt.sent;
      }
      this.#leader = undefined;
      hops = 0;
      target = addresses[(addresses.indexOf(target) + 1) % addresses.length] as string;
      failures += 1;
      // Once round without a pause: only one of them may be down.
      const again = failures - addresses.length;
      if (again > 0) await setTimeout(Math.min(leftMs, backoffMs(again - 1, PAUSE_MS.first, PAUSE_MS.most)));
    }
  }

  /** One attempt at a node that answers for itself, for what differs between nodes: the JSON it sent. Throws as `ask` does. */
  async askNode(origin: string, request: RqliteRequest): Promise<unknown> {
    const attempt = await this.#attempt(origin, request, this.#access.timeoutMs / ATTEMPT_SHARE);
    if ('body' in attempt) return attempt.body;
    throw new StoreUnavailableError(`${origin}: ${'reason' in attempt ? attempt.reason : 'it named another node'}`);
  }

  /**
   * Writes the leader's copy of the database to a file that is there. Throws StoreUnavailableError when it does not come
   * whole.
   */
  async download(file: string): Promise<void> {
    // Whoever answers a read of the leader's is the leader.
    await this.ask({ method: 'GET', path: '/db/query?level=weak&redirect&q=SELECT+1' });
    const leader = this.#leader ?? this.#access.addresses[0];
    try {
      await this.#http.download(leader, '/db/backup?redirect', file, this.#access.timeoutMs);
    } catch (thrown) {
      throw new StoreUnavailableError(`fetching the database from ${leader} failed: ${describeError(thrown)}`, thrown);
    }
  }

  /** Replaces the whole database, on all nodes at once. Throws as `ask` does. */
  async load(database: Buffer): Promise<void> {
    await this.ask({ method: 'POST', path: '/db/load?redirect', body: database }, { timeoutMs: LOAD_TIMEOUT_MS });
  }

  /** The nodes of the cluster, as the first that answers sees them. Throws StoreUnavailableError. */
  async nodes(): Promise<RqliteNode[]> {
    let failure: unknown;
    for (const origin of this.addresses) {
      try {
        const list = await this.askNode(origin, { method: 'GET', path: '/nodes?timeout=1s' });
        return Object.values(
          // One that cannot be reached has no address, or an empty one.
          list as Record<string, { id: string; api_addr?: string; leader: boolean; reachable: boolean }>,
        )
          .map(({ id, api_addr: address = '', leader, reachable }) => ({ id, address, leader, reachable }))
          .sort((a, b) => a.id.localeCompare(b.id));
      } catch (thrown) {
        if (!(thrown instanceof StoreUnavailableError)) throw thrown;
        failure = thrown;
      }
    }
    throw failure;
  }

  /** Looks now and then who else is a member. Those that are not reachable right now keep the address that they had. */
  #learnMembers(): void {
    const nowMs = performance.now();
    if (!this.#access.learnMembers || nowMs - this.#learnedAtMs < LEARN_MS) return;
    this.#learnedAtMs = nowMs;
    const { protocol } = new URL(this.#access.addresses[0]);
    const learn = async () => {
      const members = await this.nodes();
      for (const id of this.#learned.keys()) if (!members.some((one) => one.id === id)) this.#learned.delete(id);
      for (const { id, address } of members) {
        const isNew = address.startsWith(`${protocol}//`) && !this.#access.addresses.includes(address);
        if (isNew) this.#learned.set(id, address);
      }
    };
    // Who does not say is asked again the next time.
    learn().catch(() => {});
  }

  /** Takes a node out of those whose majority decides; one that is no member changes nothing. Throws StoreUnavailableError. */
  async removeNode(id: string): Promise<void> {
    const request = { method: 'DELETE', path: '/remove', body: JSON.stringify({ id }) } as const;
    const reasons: string[] = [];
    for (const origin of this.addresses) {
      const answer = await this.#http
        .call(origin, request, this.#access.timeoutMs / ATTEMPT_SHARE)
        .catch(describeError);
      if (typeof answer !== 'string' && answer.status === 200) return;
      reasons.push(`${origin}: ${typeof answer === 'string' ? answer : answer.body.toString('utf8', 0, 200).trim()}`);
    }
    throw new StoreUnavailableError(`${id} stays a member of the store: ${reasons.join('; ')}`);
  }

  /** Index of the last entry of the replicated log that a node has in its copy. Throws StoreUnavailableError. */
  async appliedIndex(origin: string): Promise<number | null> {
    const status = await this.askNode(origin, { method: 'GET', path: '/status?key=store' });
    const index = (status as { db_applied_index?: unknown }).db_applied_index;
    return typeof index === 'number' ? index : null;
  }

  /** Whether a node serves: it is up, knows a leader and can reach it. Null, or why not. */
  async readiness(origin: string): Promise<string | null> {
    try {
      const timeoutMs = this.#access.timeoutMs / ATTEMPT_SHARE;
      const { status, body } = await this.#http.call(origin, { method: 'GET', path: '/readyz' }, timeoutMs);
      if (status === 200) return null;
      if (REFUSED.has(status)) return 'it refuses the credentials';
      const lines = body.toString('utf8', 0, 500).trim().split('\n');
      return `not ready: ${lines.at(-1)?.replace(/^\[.\]/, '')}`;
    } catch (thrown) {
      return `not ready: ${describeError(thrown) || 'it cannot be reached'}`;
    }
  }

  /** From now on nothing is tried for longer than that, whoever asks. */
  endWithin(timeoutMs: number): void {
    this.#endMs = performance.now() + timeoutMs;
  }

  close(): void {
    this.#http.close();
  }

  async #attempt(origin: string, request: RqliteRequest, timeoutMs: number): Promise<Attempt> {
    let answer: RqliteAnswer;
    try {
      answer = await this.#http.call(origin, request, Math.max(1, Math.ceil(timeoutMs)));
    } catch (thrown) {
      if (thrown instanceof AnswerTooLargeError) {
        throw new OramaError('INTERNAL', `reading from the store: ${thrown.message}`, { cause: thrown });
      }
      const code = (thrown as NodeJS.ErrnoException).code ?? '';
      return { reason: describeError(thrown) || code, sent: !NOT_SENT.has(code) };
    }
    if (REFUSED.has(answer.status)) {
      throw new ConfigError(`the store at ${origin} refuses the credentials (${answer.status})`, {
        hint: 'compare store.credentialsFile with the file that rqlited reads with -auth',
      });
    }
    if (answer.status === 301) {
      const leader = leaderOf(answer.location, origin);
      return leader === null ? { reason: 'it led to an address that cannot be used', sent: false } : { leader };
    }
    const text = answer.body.toString('utf8');
    if (answer.status !== 200) {
      // 503 is how a node says that there is no leader to give it to.
      return { reason: `${answer.status} ${text.slice(0, 200).trim()}`, sent: answer.status !== 503 };
    }
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return { reason: 'it did not answer with JSON: it may not be rqlite', sent: true };
    }
    const { error } = body as { error?: string };
    return error === undefined ? { body } : { reason: error, sent: true };
  }
}

function unavailable(timeoutMs: number, failed: ReadonlyMap<string, { reason: string }>): StoreUnavailableError {
  const reasons = [...failed].map(([origin, { reason }]) => `${origin}: ${reason}`).join('; ');
  return new StoreUnavailableError(
    `no rqlite node could answer within ${timeoutMs} ms (${reasons || 'none is the leader'})`,
  );
}

/** Origin of a redirect. Null when it would leave TLS, which would give the credentials away. */
function leaderOf(location: string | undefined, from: string): string | null {
  if (location === undefined || !URL.canParse(location)) return null;
  const url = new URL(location);
  return url.protocol === new URL(from).protocol ? url.origin : null;
}
