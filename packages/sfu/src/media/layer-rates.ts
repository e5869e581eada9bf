import type { PayloadView } from '../rtp/codecs/payload.ts';

/** Spatial and temporal ids have three bits each. */
const IDS = 8;
const LAYERS = IDS * IDS;
const SAMPLE_MS = 250;
const SAMPLES = 5;
/** The key frame that a stream begins with would make any shorter time look like many times the rate. */
const MIN_SEC = 0.7;

/**
 * What each layer inside one encoding takes, over the last second: bytes and pictures by spatial and temporal id. While
 * nothing comes the last figures stay, because they tell best what would come.
 */
export class LayerRates {
  /** Highest ids seen in the last second. */
  spatial = 0;
  temporal = 0;
  /** Between two pictures of the highest layers, on average, in milliseconds; 0 until that is known. */
  pictureGapMs = 0;
  readonly #bytes = new Float64Array(LAYERS);
  readonly #frames = new Float64Array(LAYERS);
  /** What was counted at the last samples, one row after the other, and when. */
  readonly #byteRows = new Float64Array(LAYERS * SAMPLES);
  readonly #frameRows = new Float64Array(LAYERS * SAMPLES);
  readonly #times = new Float64Array(SAMPLES);
  readonly #bitrates = new Float64Array(LAYERS);
  readonly #frameRates = new Float64Array(LAYERS);
  #taken = 0;
  #counted = false;

  /** The hot path. */
  count({ spatialId, temporalId, endsFrame }: PayloadView, bytes: number): void {
    const layer = (spatialId & 7) * IDS + (temporalId & 7);
    this.#bytes[layer] = (this.#bytes[layer] as number) + bytes;
    if (endsFrame) this.#frames[layer] = (this.#frames[layer] as number) + 1;
    this.#counted = true;
  }

  /** In bit/s: of these layers with everything below them. */
  bitrateBps(spatial: number, temporal: number): number {
    return this.#sum(this.#bitrates, 0, spatial, temporal);
  }

  /** Pictures a second with these temporal layers. */
  fps(spatial: number, temporal: number): number {
    return this.#sum(this.#frameRates, spatial, spatial, temporal);
  }

  /** Call it every 50 ms or so. */
  sample(nowMs: number): void {
    const last = (this.#taken + SAMPLES - 1) % SAMPLES;
    if (this.#taken > 0 && nowMs - (this.#times[last] as number) < SAMPLE_MS) return;
    const row = this.#taken % SAMPLES;
    this.#times[row] = nowMs;
    this.#byteRows.set(this.#bytes, row * LAYERS);
    this.#frameRows.set(this.#frames, row * LAYERS);
    this.#taken++;
    if (!this.#counted) return;
    this.#counted = false;
    const oldest = this.#taken < SAMPLES ? 0 : this.#taken % SAMPLES;
    const seconds = (nowMs - (this.#times[oldest] as number)) / 1_000;
    if (seconds >= MIN_SEC) this.#work(oldest * LAYERS, seconds);
  }

  #work(oldest: number, seconds: number): void {
    this.spatial = this.temporal = 0;
    for (let layer = 0; layer < LAYERS; layer++) {
      const bytes = (this.#bytes[layer] as number) - (this.#byteRows[oldest + layer] as number);
      const frames = (this.#frames[layer] as number) - (this.#frameRows[oldest + layer] as number);
      this.#bitrates[layer] = (bytes * 8) / seconds;
      this.#frameRates[layer] = frames / seconds;
      if (bytes === 0) continue;
      this.spatial = Math.max(this.spatial, layer >> 3);
      this.temporal = Math.max(this.temporal, layer & 7);
    }
    const fps = this.fps(this.spatial, this.temporal);
    this.pictureGapMs = fps > 0 ? 1_000 / fps : 0;
  }

  #sum(rates: Float64Array, from: number, spatial: number, temporal: number): number {
    let sum = 0;
    for (let s = from; s <= spatial && s < IDS; s++)
      for (let t = 0; t <= temporal && t < IDS; t++) sum += rates[s * IDS + t] as number;
    return sum;
  }
}
