import type { ServerFrame } from '@orama/protocol';
import { type BrowserDriver, CallPage, type CallPageOptions, type NamespaceAccess, waitUntil } from '@orama/testkit';
import { INSTALL_METER, type Inbound, type Note, type Outbound, READ, type Reading } from './meter.ts';

type Told = Extract<ServerFrame, { type: 'track-updated' | 'quality' | 'send-layers' }>;

interface Gaps {
  longestGapMs: number;
  longestFreezeMs: number;
  /** Frames, since the last reset. */
  shown: number;
}

/** A person on the call page, with a meter. */
export class Caller {
  readonly page: CallPage;

  private constructor(page: CallPage) {
    this.page = page;
  }

  /** Opens the page; nothing is joined yet. */
  static async open(driver: BrowserDriver, access: NamespaceAccess, options: CallPageOptions): Promise<Caller> {
    const caller = new Caller(await CallPage.open(driver, access, options));
    await caller.page.tab.evaluate(INSTALL_METER);
    return caller;
  }

  static async join(driver: BrowserDriver, access: NamespaceAccess, options: CallPageOptions): Promise<Caller> {
    const caller = await Caller.open(driver, access, options);
    await caller.page.pressJoin();
    return caller;
  }

  /** The browser's own numbers. */
  read(): Promise<Reading> {
    return this.page.tab.evaluate<Reading>(READ);
  }

  /** Waits until pictures of that many others are decoded. */
  async sees(others: number): Promise<void> {
    const decoded = ({ kind, framesDecoded }: Inbound) => kind === 'video' && framesDecoded > 5;
    const seen = async () => ({
      pictures: (await this.read()).inbound.filter(decoded).length,
      page: await this.page.tab.evaluate<string>('document.body.innerText'),
    });
    const accept = ({ pictures }: Awaited<ReturnType<typeof seen>>) => pictures >= others;
    await waitUntil(`${this.page.name} to see ${others} others`, seen, accept, { timeoutMs: 30_000, intervalMs: 100 });
  }

  /** Begins to measure the gaps between shown frames, and freezes. */
  async resetGaps(): Promise<void> {
    await this.page.tab.evaluate('window.__meter.take(true)');
  }

  /** Longest time without a new frame on any tile of another since `resetGaps`; infinite when none was shown at all. */
  async longestGapMs(): Promise<number> {
    return (await this.gaps()).longestGapMs;
  }

  /** The same, and the longest of what `getStats` calls a freeze; both in ms. */
  async gaps(): Promise<{ longestGapMs: number; longestFreezeMs: number }> {
    const { longestGapMs, longestFreezeMs, shown } = await this.page.tab.evaluate<Gaps>('window.__meter.take(false)');
    return { longestGapMs: shown === 0 ? Number.POSITIVE_INFINITY : longestGapMs, longestFreezeMs };
  }

  /** What the server said about tracks since a moment of the page's clock. */
  async told(sinceMs = 0): Promise<{ atMs: number; frame: Told }[]> {
    return await this.page.tab.evaluate(`window.__meter.told.filter(({ atMs }) => atMs >= ${sinceMs})`);
  }

  /** What happened to the call, for who looks for the reason of a missed mark. */
  async notes(): Promise<Note[]> {
    return await this.page.tab.evaluate('window.__meter.notes');
  }

  async close(): Promise<void> {
    await this.page.close();
  }
}

/** What the encoders of a reading aim at together, in bit/s. */
export function targetBitrateOf({ outbound }: Reading): number {
  return videoOut(outbound).reduce((sum, { active, targetBitrate }) => sum + (active ? targetBitrate : 0), 0);
}

/** Frames that the busiest layer encoded. */
export function framesEncodedOf({ outbound }: Reading): number {
  return Math.max(0, ...videoOut(outbound).map(({ framesEncoded }) => framesEncoded));
}

export function keyFramesEncodedOf({ outbound }: Reading): number {
  return Math.max(0, ...videoOut(outbound).map(({ keyFramesEncoded }) => keyFramesEncoded));
}

/** The stream of a kind that the page receives; of several the busiest. */
export function received({ inbound }: Reading, kind: 'audio' | 'video'): Inbound | undefined {
  return inbound.filter((each) => each.kind === kind).sort((a, b) => b.packetsReceived - a.packetsReceived)[0];
}

/** Waits until a reading is as wanted; seconds it took. */
export async function secondsUntil(
  what: string,
  caller: Caller,
  accept: (reading: Reading) => boolean,
  timeoutSec: number,
): Promise<number> {
  const startedAt = performance.now();
  const took = () => (performance.now() - startedAt) / 1000;
  try {
    await waitUntil(what, () => caller.read(), accept, { timeoutMs: timeoutSec * 1000, intervalMs: 100 });
    return took();
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function videoOut(outbound: readonly Outbound[]): Outbound[] {
  return outbound.filter(({ kind }) => kind === 'video');
}
