/** One thing that can be sent of a track, and what it takes. */
export interface LayerOption {
  /** Index of the simulcast encoding or spatial layer, 0 for the smallest. */
  spatial: number;
  /** Index of the temporal layer, 0 for the lowest frame rate. */
  temporal: number;
  /** With everything below that it needs. */
  bitrateBps: number;
  /** In pixels and frames a second, where known. */
  width?: number | undefined;
  height?: number | undefined;
  fps?: number | undefined;
}

/** What the subscriber asked for; absent: everything. */
export interface Wish {
  maxLayer?: number | undefined;
  maxWidth?: number | undefined;
  maxHeight?: number | undefined;
  maxFps?: number | undefined;
}

/** A track to allocate for. */
export interface AllocationTrack {
  kind: 'audio' | 'video';
  /** Higher ones get bandwidth first. */
  priority: number;
  wish: Wish;
  /** From the least to the best, by spatial and then by temporal layer. Empty: nothing can be sent now. */
  layers: readonly LayerOption[];
  /** What is sent now; null for nothing. */
  current: Pick<LayerOption, 'spatial' | 'temporal'> | null;
}

/**
 * Better layers than are sent now are taken only when this share of the budget stays free: estimates and encoders waver.
 * A picture where there was none needs less, because none is worse.
 */
const RESERVE = 0.08;
/** And this share of the layer: another spatial layer begins with a key frame, which is many times a frame. */
const HEADROOM = 0.05;
const KEY_FRAME_HEADROOM = 0.1;

interface Step {
  track: number;
  /** What the track has to have already. */
  below: LayerOption | null;
  layer: LayerOption;
  /** What it takes beyond the step before it. */
  extraBps: number;
  /** The share of the layer that has to be to spare; 0 for what is sent now. */
  headroom: number;
  priority: number;
}

/**
 * Shares `budgetBps` among the tracks of one subscriber. Audio is always sent, and what it takes is not there for video.
 * The smallest layer of every video comes before a better one of any, in the order of priorities; then those of higher
 * priority get better first, equal ones evenly. What does not fit is left out. Pure: equal input, equal result, and the
 * result as the next `current` gives the same again.
 * @returns for each track the layer to send, null for nothing
 */
export function allocate(tracks: readonly AllocationTrack[], budgetBps: number): (LayerOption | null)[] {
  const chosen: (LayerOption | null)[] = new Array(tracks.length).fill(null);
  const first: Step[] = [];
  const better: Step[] = [];
  let left = budgetBps;
  for (let i = 0; i < tracks.length; i++) {
    const track = tracks[i] as AllocationTrack;
    const options = optionsOf(track.layers, track.wish);
    if (track.kind === 'audio') {
      chosen[i] = options.at(-1) ?? null;
      left -= chosen[i]?.bitrateBps ?? 0;
      continue;
    }
    addSteps(i, track, options, first, better);
  }
  first.sort(inOrder);
  better.sort(inOrder);
  const reserveBps = Number.isFinite(budgetBps) ? budgetBps * RESERVE : 0;
  for (const { track, below, layer, extraBps, headroom } of [...first, ...better]) {
    const spareBps = headroom > 0 ? layer.bitrateBps * headroom + (below ? reserveBps : 0) : 0;
    if (chosen[track] !== below || extraBps + spareBps > left) continue;
    chosen[track] = layer;
    left -= extraBps;
  }
  return chosen;
}

function inOrder(a: Step, b: Step): number {
  return b.priority - a.priority || a.layer.bitrateBps - b.layer.bitrateBps || a.track - b.track;
}

/** What sending all that is wished for takes, in bit/s, with something to spare. */
export function wantedBps(tracks: readonly AllocationTrack[]): number {
  let sum = 0;
  for (const track of tracks) {
    const best = optionsOf(track.layers, track.wish).at(-1)?.bitrateBps ?? 0;
    sum += track.kind === 'audio' ? best : best * (1 + KEY_FRAME_HEADROOM);
  }
  return sum / (1 - RESERVE);
}

/** What the smallest layers of everything take, in bit/s, with what has to be to spare for them. */
export function lowestBps(tracks: readonly Omit<AllocationTrack, 'current'>[]): number {
  let sum = 0;
  for (const { layers } of tracks) sum += (layers[0]?.bitrateBps ?? 0) * (1 + KEY_FRAME_HEADROOM);
  return sum / (1 - RESERVE);
}

/** The layers within a wish that are worth their bitrate, ascending. */
export function optionsOf(layers: readonly LayerOption[], wish: Wish): readonly LayerOption[] {
  const least = layers[0];
  // The least is always one of them.
  if (!least || layers.length === 1) return layers;
  const within = layers.filter(
    (layer) => layer === least || (isSpatiallyWanted(layer, layers, wish) && isTemporallyWanted(layer, layers, wish)),
  );
  const options: LayerOption[] = [];
  for (let i = within.length - 1; i >= 0; i--) {
    const layer = within[i] as LayerOption;
    const above = options.at(-1);
    if (above && layer.bitrateBps >= above.bitrateBps) continue;
    // A larger picture at the lowest frame rate is no better than a smaller one that moves.
    const isSlowest = layer.temporal === 0 && layer.spatial > least.spatial;
    if (isSlowest && above?.spatial === layer.spatial) continue;
    options.push(layer);
  }
  return options.reverse();
}

// The layer below already fills the pixels it is shown at, or the subscriber said so.
function isSpatiallyWanted(layer: LayerOption, layers: readonly LayerOption[], wish: Wish): boolean {
  if (wish.maxLayer !== undefined && layer.spatial > wish.maxLayer) return false;
  if (wish.maxWidth === undefined && wish.maxHeight === undefined) return true;
  return !layers.some((smaller) => smaller.spatial < layer.spatial && fills(smaller, wish));
}

function fills({ width, height }: LayerOption, wish: Wish): boolean {
  return (
    (wish.maxWidth !== undefined && width !== undefined && width >= wish.maxWidth) ||
    (wish.maxHeight !== undefined && height !== undefined && height >= wish.maxHeight)
  );
}

function isTemporallyWanted(layer: LayerOption, layers: readonly LayerOption[], wish: Wish): boolean {
  const { maxFps } = wish;
  if (maxFps === undefined) return true;
  return !layers.some(
    (slower) =>
      slower.spatial === layer.spatial &&
      slower.temporal < layer.temporal &&
      slower.fps !== undefined &&
      slower.fps >= maxFps,
  );
}

function addSteps(
  index: number,
  track: AllocationTrack,
  options: readonly LayerOption[],
  first: Step[],
  better: Step[],
): void {
  let below: LayerOption | null = null;
  for (const layer of options) {
    const step: Step = {
      track: index,
      below,
      layer,
      extraBps: layer.bitrateBps - (below?.bitrateBps ?? 0),
      headroom: headroomOf(layer, below, track.current),
      priority: track.priority,
    };
    (below ? better : first).push(step);
    below = layer;
  }
}

function headroomOf(layer: LayerOption, below: LayerOption | null, current: AllocationTrack['current']): number {
  const isSent =
    current !== null &&
    (layer.spatial < current.spatial || (layer.spatial === current.spatial && layer.temporal <= current.temporal));
  if (isSent) return 0;
  return below === null || layer.spatial === below.spatial ? HEADROOM : KEY_FRAME_HEADROOM;
}
