import { type AllocationTrack, allocate, type LayerOption, optionsOf, wantedBps } from './allocate.ts';

/** More is sent only after there was room for it for so long. */
const UP_DELAY_MS = 1_000;
/** Each time that went wrong soon, the wait doubles, up to this. */
const MAX_UP_DELAY_MS = 30_000;
const SOON_MS = 10_000;
/** With so many times the bandwidth there is nothing to wait for. */
const AMPLE = 1.5;
/** Larger pictures begin with key frames, so not all at once. */
const KEY_FRAME_GAP_MS = 300;

interface State {
  layer: LayerOption | null;
  /** Since when there was room for more without a break. */
  roomSinceMs: number;
  /** When more was sent last; NaN when it was taken back. */
  wentUpMs: number;
  upDelayMs: number;
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
    const mayRise = possible.some((layer, i) => compare(layer, inputs[i]?.current ?? null) > 0);
    const ample = mayRise ? allocate(inputs, budgetBps / AMPLE) : possible;
    const layers = possible.map((layer, i) =>
      this.#settle(keys[i] as Key, inputs[i] as AllocationTrack, layer, ample[i] ?? null, nowMs),
    );
    return { layers, wantedBps: wantedBps(inputs) };
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
        wentUpMs: nowMs,
        upDelayMs: UP_DELAY_MS,
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
    state.layer = possible;
    return possible;
  }

  #mayRise(state: State, possible: LayerOption, ample: LayerOption | null, nowMs: number): boolean {
    if (Number.isNaN(state.roomSinceMs)) state.roomSinceMs = nowMs;
    const isAmple = ample !== null && compare(ample, possible) >= 0;
    if (!isAmple && nowMs - state.roomSinceMs < state.upDelayMs) return false;
    const needsKeyFrame = possible.spatial !== state.layer?.spatial;
    if (needsKeyFrame && nowMs - this.#keyFrameMs < KEY_FRAME_GAP_MS) return false;
    if (needsKeyFrame) this.#keyFrameMs = nowMs;
    state.layer = possible;
    state.wentUpMs = nowMs;
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
