import { type Clock, type Logger, OramaError } from '@orama/core';
import type { DnsRecord, DnsWriter } from './writer.ts';
import { planZone, type ZoneChanges, type ZonePlan, type ZoneSeen } from './zone-changes.ts';
import { formatZone } from './zone-file.ts';

/** What was seen in the zone is believed for so long; the reconciler looks more often. */
const BELIEVED_MS = 10_000;

/** A zone on somebody else's server. One file per protocol beside this one. */
export interface ZoneProvider {
  /** All address records of the zone, and the names that others need. */
  read(): Promise<ZoneSeen>;
  /** Makes the changes. Doing it again does no harm. */
  apply(changes: ZoneChanges): Promise<void>;
}

/** Keeps our names in a zone that others write to as well. Texts are not written there: who has such a server proves by it. */
export class RemoteZone implements DnsWriter {
  readonly onEveryNode = false;
  readonly #provider: ZoneProvider;
  readonly #baseDomain: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Public addresses of nodes, with those that one had before: the zone may still have it by them. */
  readonly #nodeAddresses = new Set<string>();
  #told: string | null = null;
  #confirmed: { records: string; atMs: number } | null = null;

  constructor(provider: ZoneProvider, baseDomain: string, { clock, logger }: { clock: Clock; logger: Logger }) {
    this.#provider = provider;
    this.#baseDomain = baseDomain;
    this.#clock = clock;
    this.#logger = logger;
  }

  async isCurrent(records: readonly DnsRecord[], nodeAddresses: readonly string[] = []): Promise<boolean> {
    const text = formatZone(records);
    const now = this.#clock.monotonic();
    if (this.#confirmed?.records === text && now - this.#confirmed.atMs < BELIEVED_MS) return true;
    const { replace, remove, refused } = await this.#plan(records, nodeAddresses);
    const isCurrent = replace.length + remove.length + refused.size === 0;
    this.#confirmed = isCurrent ? { records: text, atMs: now } : null;
    return isCurrent;
  }

  /** Throws CONFLICT, with everything else done, where other records are in the place of what is wanted. */
  async write(records: readonly DnsRecord[], nodeAddresses: readonly string[] = []): Promise<void> {
    this.#confirmed = null;
    const { replace, remove, refused } = await this.#plan(records, nodeAddresses);
    if (replace.length + remove.length > 0) await this.#provider.apply({ replace, remove });
    for (const { name, type, values, former } of replace)
      if (former.length > 0) this.#logger.info({ name, type, values, former }, 'DNS records replaced');
    for (const { name, type, values } of remove) this.#logger.info({ name, type, values }, 'DNS records removed');
    const [first] = refused;
    if (!first) return;
    const [name, what] = first;
    throw new OramaError('CONFLICT', `${name} cannot lead to our nodes: in the zone it is ${what}`, {
      hint: 'take that record away, or have another namespace in the place of this one',
    });
  }

  async #plan(records: readonly DnsRecord[], nodeAddresses: readonly string[]): Promise<ZonePlan> {
    for (const address of nodeAddresses) this.#nodeAddresses.add(address);
    const plan = planZone(await this.#provider.read(), records, this.#baseDomain, this.#nodeAddresses);
    this.#tell(plan.left);
    return plan;
  }

  /** Once for each thing that it is there. */
  #tell(left: ZonePlan['left']): void {
    if (left && left.what !== this.#told) {
      const mend =
        'take that record away, and the name is ours within 10 s; meanwhile operators are served at every ns-<namespace>';
      this.#logger.warn({ ...left, mend }, 'the name for operators is left as it is in the zone');
    }
    this.#told = left?.what ?? null;
  }
}
