import type { Clock } from '@orama/core';
import type { DnsRecord, DnsWriter } from './writer.ts';
import { type AddressSet, planZone, type ZoneChanges } from './zone-changes.ts';
import { formatZone } from './zone-file.ts';

/** What was seen in the zone is believed for so long; the reconciler looks more often. */
const BELIEVED_MS = 10_000;

/** A zone on somebody else's server. One file per protocol beside this one. */
export interface ZoneProvider {
  /** All address records of the zone. */
  read(): Promise<AddressSet[]>;
  /** Makes the changes. Doing it again does no harm. */
  apply(changes: ZoneChanges): Promise<void>;
}

/** Keeps our names in a zone that others write to as well. Texts are not written there: who has such a server proves by it. */
export class RemoteZone implements DnsWriter {
  readonly onEveryNode = false;
  readonly #provider: ZoneProvider;
  readonly #baseDomain: string;
  readonly #clock: Clock;
  #confirmed: { records: string; atMs: number } | null = null;

  constructor(provider: ZoneProvider, baseDomain: string, clock: Clock) {
    this.#provider = provider;
    this.#baseDomain = baseDomain;
    this.#clock = clock;
  }

  async isCurrent(records: readonly DnsRecord[]): Promise<boolean> {
    const text = formatZone(records);
    const now = this.#clock.monotonic();
    if (this.#confirmed?.records === text && now - this.#confirmed.atMs < BELIEVED_MS) return true;
    const { replace, remove } = await this.#plan(records);
    const isCurrent = replace.length + remove.length === 0;
    this.#confirmed = isCurrent ? { records: text, atMs: now } : null;
    return isCurrent;
  }

  async write(records: readonly DnsRecord[]): Promise<void> {
    this.#confirmed = null;
    const changes = await this.#plan(records);
    if (changes.replace.length + changes.remove.length > 0) await this.#provider.apply(changes);
  }

  async #plan(records: readonly DnsRecord[]): Promise<ZoneChanges> {
    return planZone(await this.#provider.read(), records, this.#baseDomain);
  }
}
