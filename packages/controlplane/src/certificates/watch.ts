import { type Certificate, type Clock, describeError, OramaError } from '@orama/core';
import type { CertificatesConfig } from '@orama/protocol';
import { z } from 'zod';
import { CaddyApi, type CaddyPart } from './caddy.ts';
import { nextOrder, type WantedNames, withNames } from './caddy-names.ts';
import { CaddyStorage } from './caddy-storage.ts';
import type { CaddyDnsProvider } from './dns-provider.ts';

/** Caddy writes a log line for each question, so that it is not asked at every look. An operator's reload is seen so late. */
const ASK_MS = 10_000;
/**
 * A name is asked for when it has been wanted for so long: every DNS server leads to it by then, where nodes read the store four
 * times a second. Caddy comes again a minute after an authority that found no such name.
 */
const SETTLED_MS = 3_000;
/** A name without a certificate for so long is a problem. */
const PATIENCE_MS = 60_000;
/** A certificate with less than this share of its life left should have been renewed: Caddy does at a third. */
const RENEWED_BY = 1 / 5;
/** Where Debian's unit, and that of Caddy's makers, has it. */
const USUAL_STORAGE = '/var/lib/caddy/.local/share/caddy';

const configSchema = z
  .looseObject({
    storage: z.looseObject({ module: z.string(), root: z.string().optional() }).nullish(),
    apps: z.looseObject({ tls: z.unknown() }).nullish(),
  })
  .nullable();

/** A change of Caddy's configuration that is due. */
export interface CaddyChange {
  path: string;
  value: object;
  was: CaddyPart;
}

/** What a Caddy has of the names that are wanted, looked at again and again. */
export class CaddyWatch {
  readonly #options: Extract<CertificatesConfig, { source: 'caddy' }>;
  readonly #clock: Clock;
  readonly #api: CaddyApi;
  readonly #provider: CaddyDnsProvider | null;
  #storage: { root: string; files: CaddyStorage } | undefined;
  /** The last answer, which counts for a while. */
  #asked: { atMs: number; names: string; change: CaddyChange | null } | undefined;
  /** What is wrong with Caddy itself. */
  #fault: string | null = null;
  #storageFault: string | null = null;
  #certificates = new Map<string, Certificate>();
  /** What Caddy has to have before it is asked for more than one name. */
  #awaited: { directory: string; first: string } | null = null;
  /** Since when a name is wanted and has no certificate. */
  readonly #missingSinceMs = new Map<string, number>();

  /** @param provider what a Caddy that has its module proves names by */
  constructor(
    options: Extract<CertificatesConfig, { source: 'caddy' }>,
    clock: Clock,
    provider: CaddyDnsProvider | null,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#api = new CaddyApi(options.admin);
    this.#provider = provider;
  }

  /** What has to change in Caddy so that it has these names; null where nothing has. Caddy is asked now and then. */
  async dueChange(names: readonly string[], shared: boolean): Promise<CaddyChange | null> {
    const later = names.filter((name) => !this.#certificates.has(name) && this.#missingForMs(name) < SETTLED_MS);
    const asked = { atMs: this.#clock.monotonic(), names: JSON.stringify([names, later, shared]) };
    const before = this.#asked;
    if (before?.names === asked.names && asked.atMs - before.atMs < ASK_MS) return before.change;
    this.#asked = { ...asked, change: null };
    try {
      const change = await this.#change({ names, later, shared, dnsProvider: await this.#dnsProvider(names) });
      this.#asked = { ...asked, change };
      this.#fault = null;
      return change;
    } catch (thrown) {
      this.#fault = describeError(thrown);
      // Nothing that was to be taken out of a Caddy that is gone.
      if (names.length === 0) return null;
      throw thrown;
    }
  }

  /** Does what is due. Caddy has its servers built anew when this resolves. */
  async apply({ path, value, was }: CaddyChange): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    try {
      await this.#api.replace(path, value, was);
    } catch (thrown) {
      this.#fault = describeError(thrown);
      // What it refuses it will refuse in a moment as well.
      const isRefused = !(thrown instanceof OramaError && thrown.code === 'CONFLICT');
      if (asked && isRefused) this.#asked = { ...asked, change: null };
      throw thrown;
    }
  }

  /** Takes all of ours out of Caddy, for a node that is none any more. Throws UNAVAILABLE where none answers. */
  async clear(): Promise<void> {
    const change = await this.#change({ names: [], later: [], shared: false, dnsProvider: null });
    if (change) await this.apply(change);
  }

  /** The newest good certificates that Caddy has of these names. Never rejects; what is wrong is told by `problemOf`. */
  async certificates(names: readonly string[]): Promise<ReadonlyMap<string, Certificate>> {
    try {
      this.#certificates = await this.#files().newest(names, this.#clock.now());
      this.#storageFault = null;
    } catch (thrown) {
      this.#certificates = new Map();
      this.#storageFault = describeError(thrown);
    }
    const nowMs = this.#clock.monotonic();
    for (const name of names) {
      if (this.#certificates.has(name)) this.#missingSinceMs.delete(name);
      else if (!this.#missingSinceMs.has(name)) this.#missingSinceMs.set(name, nowMs);
    }
    for (const name of this.#missingSinceMs.keys()) if (!names.includes(name)) this.#missingSinceMs.delete(name);
    // Caddy need not be due to be asked.
    if (this.#awaited && (await this.#hasAccount(this.#awaited.directory))) {
      this.#awaited = null;
      this.#asked = undefined;
    }
    return this.#certificates;
  }

  /** What is wrong with the certificate of a name, in words. */
  problemOf(name: string): string | undefined {
    const fault = this.#fault ?? this.#storageFault;
    if (fault !== null) return fault;
    if (this.#missingSinceMs.has(name)) {
      const waitedMs = this.#missingForMs(name);
      if (waitedMs < PATIENCE_MS) return undefined;
      if (this.#awaited && this.#awaited.first !== name) {
        return `the certificate of ${name} waits until Caddy has an account with ${this.#awaited.directory}, which it makes for ${this.#awaited.first}: its log says why it has none (journalctl -u caddy)`;
      }
      const since = `for ${Math.floor(waitedMs / 60_000)} min`;
      const where = `none is in ${this.#storage?.root}`;
      return `Caddy has been asked for a certificate of ${name} ${since}, and ${where}: its log says why (journalctl -u caddy)`;
    }
    const certificate = this.#certificates.get(name);
    if (certificate === undefined) return undefined;
    const { notBefore, status } = certificate;
    const leftMs = status.notAfter - this.#clock.now();
    if (leftMs >= (status.notAfter - notBefore) * RENEWED_BY) return undefined;
    const until = new Date(status.notAfter).toISOString();
    return `Caddy does not renew the certificate of ${name}, which ends ${until}: its log says why (journalctl -u caddy)`;
  }

  /**
   * All names but one where Caddy has no account with the authority yet. Debian 12's Caddy registers an account for each order that
   * begins before there is one, and may keep the address of one with the key of another: every order after that is refused.
   */
  async #afterFirst(tls: unknown, { names, later }: WantedNames): Promise<readonly string[]> {
    this.#awaited = null;
    const { directory, asked } = nextOrder(tls);
    const first = names.find((name) => asked.has(name)) ?? names.find((name) => !later.includes(name));
    if (first === undefined || directory === undefined || (await this.#hasAccount(directory))) return [];
    this.#awaited = { directory, first };
    return names.filter((name) => name !== first);
  }

  /** True as well where that cannot be seen: nothing is to wait for what is not told. */
  async #hasAccount(directory: string): Promise<boolean> {
    return this.#files()
      .hasAccount(directory)
      .catch(() => true);
  }

  async #change(wanted: WantedNames): Promise<CaddyChange | null> {
    const root = await this.#api.read('');
    const config = configSchema.parse(root.value);
    this.#noteStorage(config?.storage ?? undefined);
    const tls = config?.apps?.tls ?? null;
    const due = { ...wanted, later: [...wanted.later, ...(await this.#afterFirst(tls, wanted))] };
    const value = withNames(tls, due);
    if (value === undefined) return null;
    // The smallest part that is there, so that what others change beside it does not matter.
    if (!config?.apps) return { path: '', value: { ...config, apps: { tls: value } }, was: root };
    const part = await this.#api.read('apps/tls');
    const next = withNames(part.value, due);
    return next === undefined ? null : { path: 'apps/tls', value: next, was: part };
  }

  #missingForMs(name: string): number {
    const sinceMs = this.#missingSinceMs.get(name);
    return sinceMs === undefined ? 0 : this.#clock.monotonic() - sinceMs;
  }

  #files(): CaddyStorage {
    const root = this.#options.storage ?? this.#storage?.root ?? USUAL_STORAGE;
    if (this.#storage?.root !== root) this.#storage = { root, files: new CaddyStorage(root) };
    return this.#storage.files;
  }

  #noteStorage(storage: { module: string; root?: string | undefined } | undefined): void {
    if (this.#options.storage !== undefined) return;
    if (storage !== undefined && storage.module !== 'file_system') {
      throw new Error(`Caddy keeps its certificates in ${storage.module}, which cannot be read; use file_system`);
    }
    const root = storage?.root ?? USUAL_STORAGE;
    if (this.#storage?.root !== root) this.#storage = { root, files: new CaddyStorage(root) };
  }

  /** Asked each time, as an operator may put another Caddy in the place of one without the module. */
  async #dnsProvider(names: readonly string[]): Promise<Readonly<Record<string, string>> | null> {
    if (this.#provider === null || names.length === 0) return null;
    return (await this.#api.hasDnsProvider(this.#provider.name)) ? this.#provider.settings : null;
  }
}
