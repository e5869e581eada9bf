import type { NamespaceAccess } from '../cluster/local-cluster.ts';
import { type WaitOptions, waitFor, waitUntil } from '../wait.ts';
import type { BrowserDriver, BrowserPage } from './driver.ts';
import { type ConnectionStats, type InboundStats, READ_STATS } from './observer.ts';

export interface CallPageOptions {
  room: string;
  /** Name of the user; others see it on their tile. */
  name: string;
  /** Number of the node whose gateway serves the page. */
  node?: number;
}

/** What arrived between two readings of a page. */
export interface Progress {
  stats: ConnectionStats;
  /** Video tracks whose decoded frames rose, with their latest numbers. */
  video: InboundStats[];
  /** Audio tracks whose packets and energy rose. */
  audio: InboundStats[];
}

/** The call page in a browser, used as a person would use it. */
export class CallPage {
  readonly name: string;
  readonly tab: BrowserPage;

  private constructor(name: string, tab: BrowserPage) {
    this.name = name;
    this.tab = tab;
  }

  /** Opens the page and joins the room. */
  static async join(driver: BrowserDriver, access: NamespaceAccess, options: CallPageOptions): Promise<CallPage> {
    const page = new CallPage(options.name, await driver.newPage());
    await page.tab.goto(access.callUrl(options));
    return page;
  }

  /** The browser's numbers of the newest connection. */
  async stats(): Promise<ConnectionStats> {
    const stats = await this.tab.evaluate<ConnectionStats | null>(READ_STATS);
    if (!stats) throw new Error(`the page of ${this.name} has no RTCPeerConnection yet`);
    return stats;
  }

  /**
   * Waits until `senders` others are seen and heard: that many video tracks decode at least `frames` further frames
   * and that many audio tracks gain energy, all on one connection and no more tracks than that.
   */
  async waitMedia(
    senders: number,
    { frames = 10, ...options }: WaitOptions & { frames?: number } = {},
  ): Promise<Progress> {
    let first = await waitFor(`${this.name} to have a connection`, () => this.stats(), options);
    const look = async (): Promise<Progress> => {
      const stats = await this.stats();
      if (stats.connections !== first.connections) first = stats;
      const rise = (now: InboundStats, of: (each: InboundStats) => number) => {
        const then = first.inbound.find((each) => each.mid === now.mid);
        return of(now) - (then ? of(then) : 0);
      };
      return {
        stats,
        video: stats.inbound.filter((each) => each.kind === 'video' && rise(each, (of) => of.framesDecoded) >= frames),
        audio: stats.inbound.filter(
          (each) =>
            each.kind === 'audio' &&
            rise(each, (of) => of.packetsReceived) > 0 &&
            rise(each, (of) => of.totalAudioEnergy) > 0,
        ),
      };
    };
    return await waitUntil(
      `${this.name} to see and hear ${senders} others`,
      look,
      (seen) => seen.video.length === senders && seen.audio.length === senders,
      options,
    );
  }

  /** Closes the tab, as a user who has had enough. */
  close(): Promise<void> {
    return this.tab.close();
  }
}
