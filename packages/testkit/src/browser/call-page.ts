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

export interface MediaOptions extends WaitOptions {
  /** Frames to decode from the first look on. */
  frames?: number;
  /** Pixels that the pictures must have. */
  size?: { readonly width: number; readonly height: number };
}

/** What arrived between two readings of a page. */
export interface Progress {
  stats: ConnectionStats;
  /** Video tracks whose decoded frames rose, with their latest numbers. */
  video: InboundStats[];
  /** Audio tracks whose packets and energy rose. */
  audio: InboundStats[];
}

const LOBBY_READY = `document.getElementById('join')?.disabled === false && document.querySelector('[name=room]').value !== ''`;
/** Tiles of the others: one's own says so. */
const OTHER_TILES = `() => [...document.querySelectorAll('.tile')].filter((tile) => !tile.querySelector('.name').textContent.endsWith('(you)'))`;

/** The call page in a browser, used as a person would use it. */
export class CallPage {
  readonly name: string;
  readonly tab: BrowserPage;

  private constructor(name: string, tab: BrowserPage) {
    this.name = name;
    this.tab = tab;
  }

  /** Opens the page and joins the room. */
  static async join(
    driver: BrowserDriver,
    access: Pick<NamespaceAccess, 'callUrl'>,
    options: CallPageOptions,
  ): Promise<CallPage> {
    const page = await CallPage.open(driver, access, options);
    await page.pressJoin();
    return page;
  }

  /** Opens the page, with everything filled in; nothing is joined yet. */
  static async open(
    driver: BrowserDriver,
    access: Pick<NamespaceAccess, 'callUrl'>,
    options: CallPageOptions,
  ): Promise<CallPage> {
    const page = new CallPage(options.name, await driver.newPage());
    await page.tab.goto(access.callUrl(options));
    await waitFor(`the page of ${options.name} to be ready`, () => page.tab.evaluate<boolean>(LOBBY_READY));
    return page;
  }

  /** Presses "Join"; resolves with the page's Unix time in milliseconds. */
  pressJoin(): Promise<number> {
    return this.#press('join');
  }

  /** Presses "Leave". */
  leave(): Promise<number> {
    return this.#press('leave');
  }

  toggleCamera(): Promise<number> {
    return this.#press('toggle-camera');
  }

  /** Names on the tiles of the others. */
  others(): Promise<string[]> {
    return this.tab.evaluate<string[]>(`(${OTHER_TILES})().map((tile) => tile.querySelector('.name').textContent)`);
  }

  /** Resolves with the page's Unix time at which the others' tiles are these, in any order. Begin before causing it. */
  async whenOthersAre(names: readonly string[], { timeoutMs = 10_000 }: WaitOptions = {}): Promise<number> {
    const wanted = JSON.stringify([...names].sort());
    const look = `JSON.stringify((${OTHER_TILES})().map((tile) => tile.querySelector('.name').textContent).sort()) === ${JSON.stringify(wanted)}`;
    return await this.#whenSeen(`the others to be ${wanted}`, look, timeoutMs);
  }

  /** Resolves with the page's Unix time at which pictures of `count` others have been drawn. */
  whenPicturesOf(count: number, { timeoutMs = 20_000 }: WaitOptions = {}): Promise<number> {
    const look = `(${OTHER_TILES})().filter((tile) => {
      const video = tile.querySelector('video');
      return !tile.classList.contains('no-video') && video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 0;
    }).length === ${count}`;
    return this.#whenSeen(`pictures of ${count} others`, look, timeoutMs);
  }

  /** What the client itself reports; see the call page's PageStats. */
  clientStats<T>(): Promise<T> {
    return this.tab.evaluate<T>('window.orama.stats()');
  }

  /** The browser's numbers of the newest connection. */
  async stats(): Promise<ConnectionStats> {
    const stats = await this.tab.evaluate<ConnectionStats | null>(READ_STATS);
    if (!stats) throw new Error(`the page of ${this.name} has no RTCPeerConnection yet`);
    return stats;
  }

  /**
   * Waits until `senders` others are seen and heard: that many video tracks decode at least `frames` further frames
   * (of `size`, when given) and that many audio tracks gain energy, all on one connection and no more than that.
   */
  async waitMedia(senders: number, { frames = 10, size, ...options }: MediaOptions = {}): Promise<Progress> {
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
        video: stats.inbound.filter(
          (each) =>
            each.kind === 'video' &&
            rise(each, (of) => of.framesDecoded) >= frames &&
            (size === undefined || (each.frameWidth === size.width && each.frameHeight === size.height)),
        ),
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

  #press(id: string): Promise<number> {
    return this.tab.evaluate<number>(`(() => {
      document.getElementById('${id}').click();
      return Date.now();
    })()`);
  }

  /** Looks inside the page, so that the moment is told without the way back and forth. */
  async #whenSeen(what: string, look: string, timeoutMs: number): Promise<number> {
    const seen = await this.tab.evaluate<number | string>(`(async () => {
      const end = Date.now() + ${timeoutMs};
      // A page in the background has its timers once a second only; changes of the page are told at once.
      let changed = () => {};
      const observer = new MutationObserver(() => changed());
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      while (!(${look})) {
        if (Date.now() > end) return document.body.innerText;
        await new Promise((done) => {
          changed = done;
          setTimeout(done, 10);
        });
      }
      observer.disconnect();
      return Date.now();
    })()`);
    if (typeof seen === 'string') {
      throw new Error(`${this.name} did not see ${what} within ${timeoutMs} ms; the page shows: ${seen}`);
    }
    return seen;
  }
}
