import { type AllocationTrack, allocate, type LayerOption, optionsOf, wantedBps } from './allocate.ts';

/** More is sent only after there was room for it for so long. */
const UP_DELAY_MS = 1_000;
/** Each time that went wrong soon, the wait doubles, up to this. */
const MAX_UP_DELAY_MS = 30_000;
const SOON_MS = 10_000;
/**
 * The only picture of a track is taken away when there was no room for it for so long: encoders and estimates waver, and
 * an estimate falls below what the path carries at every queue. At once where so many times as much would be sent.
 */
const PAUSE_DELAY_MS = 5_000;
const OVERLOAD = 1.3;
/** A picture that is taken away so soon after it came back stays away four times as long as before, up to this. */
const CAME_BACK_SOON_MS = 60_000;
const MAX_AWAY_MS = 60_000;
/** With so many times the bandwidth there is nothing to wait for. */
const AMPLE = 1.5;
/** Larger pictures begin with key frames, so not all at once. */
const KEY_FRAME_GAP_MS = 300;

interface State {
  layer: LayerOption | null;
  /** Since when there was room for more without a break. */
  roomSinceMs: number;
  /** Since when there was no room for anything of it, though it is sent; NaN while there is. */
  shortSinceMs: number;
  /** When more was sent last; NaN when it was taken back. */
  wentUpMs: number;
  upDelayMs: number;
  /** The same where nothing is sent, and when that was over last. */
  comeBackDelayMs: number;
  cameBackMs: number;
}

/** What an allocation comes to. */
export interface Allocation {
  /** The layer for each track, in the order given; null for nothing. */
  layers: (LayerOption | null)[];
  /** What everything that is wanted would take, in bit/s. */
  wantedBps: number;
}

/**
 * Keeps the layers of one subscriber's tracks from flapping: down at once, up when there was room for a while, longer each
 * time that had to be taken back.
 */
export class Allocator<Key extends object> {
  readonly #states = new Map<Key, State>();
  #keyFrameMs = Number.NEGATIVE_INFINITY;

  /**
   * @param tracks by a key that stays with the track; their `current` is not looked at, the last allocation is
   * @param budgetBps what may be sent; infinity without a limit
   */
  update(tracks: ReadonlyMap<Key, Omit<AllocationTrack, 'current'>>, budgetBps: number, nowMs: number): Allocation {
    for (const key of this.#states.keys()) if (!tracks.has(key)) this.#states.delete(key);
    const keys = [...tracks.keys()];
    const inputs: AllocationTrack[] = [];
    // The wish is worked in once, here.
    for (const [key, { kind, priority, wish, layers }] of tracks) {
      const options = optionsOf(layers, wish);
      const state = this.#states.get(key);
      // A track begins with its smallest layer, before anything is allocated: that needs nothing to spare.
      const current = state
        ? state.layer
        : (options.findLast(({ spatial }) => spatial === options[0]?.spatial) ?? null);
      inputs.push({ kind, priority, wish: {}, layers: options, current });
    }
    const possible = allocate(inputs, budgetBps);
    this.#hold(keys, inputs, possible, budgetBps, nowMs);
    const mayRise = possible.some((layer, i) => compare(layer, inputs[i]?.current ?? null) > 0);
    const ample = mayRise ? allocate(inputs, budgetBps / AMPLE) : possible;
    const layers = possible.map((layer, i) =>
      this.#settle(keys[i] as Key, inputs[i] as AllocationTrack, layer, ample[i] ?? null, nowMs),
    );
    return { layers, wantedBps: wantedBps(inputs) };
  }

  /** Leaves tracks the smallest picture they have for a while though there is no room for it; nothing rises meanwhile. */
  #hold(
    keys: readonly Key[],
    tracks: readonly AllocationTrack[],
    possible: (LayerOption | null)[],
    budgetBps: number,
    nowMs: number,
  ): void {
    const bearable = possible.includes(null) ? allocate(tracks, budgetBps * OVERLOAD) : possible;
    let holds = false;
    for (const [i, { layers }] of tracks.entries()) {
      const state = this.#states.get(keys[i] as Key);
      if (!state) continue;
      const isShort = possible[i] === null && state.layer !== null;
      if (!isShort) state.shortSinceMs = Number.NaN;
      else if (Number.isNaN(state.shortSinceMs)) state.shortSinceMs = nowMs;
      if (!isShort || bearable[i] === null || nowMs - state.shortSinceMs >= PAUSE_DELAY_MS) continue;
      possible[i] = layers[0] ?? null;
      holds = true;
    }
    if (!holds) return;
    for (const [i, track] of tracks.entries()) {
      const now = current(track, this.#states.get(keys[i] as Key)?.layer ?? null);
      if (now !== undefined && compare(possible[i] ?? null, now) > 0) possible[i] = now;
    }
  }

  #settle(
    key: Key,
    track: AllocationTrack,
    possible: LayerOption | null,
    ample: LayerOption | null,
    nowMs: number,
  ): LayerOption | null {
    const state = this.#states.get(key);
    if (!state) {
      // Nothing came of it yet: once something does it is sent at once.
      if (track.layers.length === 0) return null;
      this.#states.set(key, {
        layer: possible,
        roomSinceMs: Number.NaN,
        shortSinceMs: Number.NaN,
        wentUpMs: nowMs,
        upDelayMs: UP_DELAY_MS,
        comeBackDelayMs: UP_DELAY_MS,
        cameBackMs: Number.NEGATIVE_INFINITY,
      });
      return possible;
    }
    const now = current(track, state.layer);
    const change = now === undefined ? -1 : compare(possible, now);
    if (change > 0) return this.#mayRise(state, possible as LayerOption, ample, nowMs) ? possible : (now ?? null);
    state.roomSinceMs = Number.NaN;
    if (change < 0 && now !== undefined && nowMs - state.wentUpMs < SOON_MS)
      state.upDelayMs = Math.min(MAX_UP_DELAY_MS, state.upDelayMs * 2);
    else if (nowMs - state.wentUpMs > 2 * SOON_MS) state.upDelayMs = UP_DELAY_MS;
    if (change < 0) state.wentUpMs = Number.NaN;
    if (change < 0 && possible === null) {
      const isSoon = nowMs - state.cameBackMs < CAME_BACK_SOON_MS;
      state.comeBackDelayMs = isSoon ? Math.min(MAX_AWAY_MS, state.comeBackDelayMs * 4) : UP_DELAY_MS;
    }
    state.layer = possible;
    return possible;
  }

  #mayRise(state: State, possible: LayerOption, ample: LayerOption | null, nowMs: number): boolean {
    if (Number.isNaN(state.roomSinceMs)) state.roomSinceMs = nowMs;
    const isAmple = ample !== null && compare(ample, possible) >= 0;
    const isBack = state.layer === null;
    if (!isAmple && nowMs - state.roomSinceMs < (isBack ? state.comeBackDelayMs : state.upDelayMs)) return false;
    const needsKeyFrame = possible.spatial !== state.layer?.spatial;
    if (needsKeyFrame && nowMs - this.#keyFrameMs < KEY_FRAME_GAP_MS) return false;
    if (needsKeyFrame) this.#keyFrameMs = nowMs;
    state.layer = possible;
    state.wentUpMs = nowMs;
    if (isBack) state.cameBackMs = nowMs;
    state.roomSinceMs = Number.NaN;
    return true;
  }
}

/** What `layer` is among the options now; undefined when it is none of them any more. */
function current(track: AllocationTrack, layer: LayerOption | null): LayerOption | null | undefined {
  if (layer === null) return null;
  return track.layers.find(({ spatial, temporal }) => spatial === layer.spatial && temporal === layer.temporal);
}

type Place = Pick<LayerOption, 'spatial' | 'temporal'>;

function compare(a: Place | null, b: Place | null): number {
  if (a === null || b === null) return (a === null ? 0 : 1) - (b === null ? 0 : 1);
  return a.spatial - b.spatial || a.temporal - b.temporal;
}
