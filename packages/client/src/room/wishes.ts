import { type ClientFrameOf, FRAME_RATE } from '@orama/protocol';
import type { Clock, Timer } from '../clock.ts';
import type { SubscriptionOptions } from './room-events.ts';

type SubscribeFrame = ClientFrameOf<'subscribe'>;

/** Where a picture is shown: its size in device pixels, and whether anybody can see it. */
export interface Shown {
  width: number;
  height: number;
  visible: boolean;
}

/** Layouts settle in a few steps; a larger picture is asked for at once, a smaller one when it has stayed so. */
const GROW_MS = 50;
const SHRINK_MS = 500;
const MAX_PIXELS = 16_384;
/** Of the frames that the server takes, so many at once and a second: a page of a hundred pictures has more to say. */
const SHARE = 0.75;
const BURST = Math.floor(FRAME_RATE.burst * SHARE);
const GAP_MS = 1_000 / (FRAME_RATE.perSec * SHARE);

interface Wish {
  enabled: boolean;
  options: SubscriptionOptions;
  /** By the element; empty where the application shows the track by itself. */
  elements: Map<object, Shown>;
  sent: SubscribeFrame | undefined;
  timer: Timer | undefined;
}

/**
 * How much of every received track is wanted: what the application asks for, and the elements that show it. The server
 * takes a `subscribe` frame as the whole wish for a track, so both go into one.
 */
export class Wishes {
  readonly #byTrack = new Map<string, Wish>();
  readonly #clock: Clock;
  readonly #send: (frame: SubscribeFrame) => void;
  /** Tracks whose wish has to be told, longest due first. */
  readonly #due = new Set<string>();
  #dueTimer: Timer | undefined;
  #credit = BURST;
  #creditAt = 0;
  #paused = false;

  constructor(clock: Clock, send: (frame: SubscribeFrame) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Changes what the application asks for; what is left out stays as it was, undefined takes a limit back. */
  set(trackId: string, change: { enabled?: boolean } & SubscriptionOptions): void {
    const wish = this.#wish(trackId);
    const { enabled = wish.enabled, ...options } = change;
    wish.enabled = enabled;
    wish.options = { ...wish.options, ...options };
    this.#flush(trackId, wish);
  }

  /** An element shows the track like this from now on; null: it shows it no longer. */
  show(trackId: string, element: object, shown: Shown | null): void {
    const wish = this.#wish(trackId);
    if (shown) wish.elements.set(element, shown);
    else wish.elements.delete(element);
    wish.timer?.cancel();
    const isLess = wish.sent !== undefined && isLessThan(this.#frame(trackId, wish), wish.sent);
    wish.timer = this.#clock.after(isLess ? SHRINK_MS : GROW_MS, () => this.#flush(trackId, wish));
  }

  /** The track is gone. */
  forget(trackId: string): void {
    this.#byTrack.get(trackId)?.timer?.cancel();
    this.#byTrack.delete(trackId);
    this.#due.delete(trackId);
    if (this.#due.size === 0) this.#stopTelling();
  }

  /** There is nobody to tell for now. */
  pause(): void {
    this.#paused = true;
    this.#stopTelling();
  }

  /** There is again, and everything is told once more: what was on its way may be lost. */
  resume(): void {
    this.#paused = false;
    for (const [trackId, wish] of this.#byTrack) {
      if (!wish.sent) continue;
      wish.sent = undefined;
      this.#due.add(trackId);
    }
    this.#tell();
  }

  /** All tracks are gone. */
  clear(): void {
    for (const trackId of [...this.#byTrack.keys()]) this.forget(trackId);
  }

  #wish(trackId: string): Wish {
    const known = this.#byTrack.get(trackId);
    if (known) return known;
    const wish: Wish = { enabled: true, options: {}, elements: new Map(), sent: undefined, timer: undefined };
    this.#byTrack.set(trackId, wish);
    return wish;
  }

  #flush(trackId: string, wish: Wish): void {
    wish.timer?.cancel();
    if (JSON.stringify(this.#frame(trackId, wish)) === JSON.stringify(wish.sent)) this.#due.delete(trackId);
    else this.#due.add(trackId);
    this.#tell();
  }

  /** Sends what is due, as far as the server takes it now. */
  #tell(): void {
    this.#stopTelling();
    if (this.#paused) return;
    for (const trackId of this.#due) {
      const wish = this.#byTrack.get(trackId);
      if (!wish) continue;
      if (!this.#takeCredit()) {
        this.#dueTimer = this.#clock.after(GAP_MS, () => this.#tell());
        return;
      }
      this.#due.delete(trackId);
      wish.sent = this.#frame(trackId, wish);
      this.#send(wish.sent);
    }
  }

  #takeCredit(): boolean {
    const now = this.#clock.monotonic();
    this.#credit = Math.min(BURST, this.#credit + (now - this.#creditAt) / GAP_MS);
    this.#creditAt = now;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }

  #stopTelling(): void {
    this.#dueTimer?.cancel();
    this.#dueTimer = undefined;
  }

  #frame(trackId: string, { enabled, options, elements }: Wish): SubscribeFrame {
    const visible = [...elements.values()].filter((shown) => shown.visible);
    const isHidden = elements.size > 0 && visible.length === 0;
    const pixels = (of: (shown: Shown) => number) =>
      Math.min(MAX_PIXELS, Math.max(1, ...visible.map(of).map(Math.ceil)));
    return {
      type: 'subscribe',
      trackId,
      enabled: enabled && !isHidden,
      ...(visible.length > 0
        ? { maxWidth: pixels(({ width }) => width), maxHeight: pixels(({ height }) => height) }
        : {}),
      ...withoutUndefined(options),
    };
  }
}

function isLessThan(one: SubscribeFrame, other: SubscribeFrame): boolean {
  const { maxWidth = MAX_PIXELS, maxHeight = MAX_PIXELS } = one;
  return !one.enabled || maxWidth < (other.maxWidth ?? MAX_PIXELS) || maxHeight < (other.maxHeight ?? MAX_PIXELS);
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
