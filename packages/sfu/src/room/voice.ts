import type { PacketSink } from '../media/packet-sink.ts';
import type { RtpView } from '../rtp/header.ts';

/** Levels below this, in dB under the loudest there is, count as silence: a quiet room's noise is about here. */
const SILENCE_DB = 60;
/** Shares of a new level that the smoothed one takes over in each interval: up at once, down in half a second. */
const ATTACK = 0.6;
const RELEASE = 0.2;
/** Levels at which somebody begins to speak, and no longer does. Between the two nothing changes. */
const START_LEVEL = 0.25;
const STOP_LEVEL = 0.12;
/** So long it has to be louder than the one, or quieter than the other: a knock is no speech, a breath no end of it. */
const START_MS = 150;
const STOP_MS = 700;

/** How loud one audio track is, by its packets' level (RFC 6464). A track that tells none counts as silent. */
export class Voice implements PacketSink {
  /** It listens to whatever comes. */
  readonly needed = 0;
  #decibels = 0;
  #packets = 0;
  #level = 0;
  #speaking = false;
  /** Since when the level says otherwise than `speaking`; infinity while it does not. */
  #otherwiseSinceMs = Number.POSITIVE_INFINITY;
  #spokeMs = Number.NEGATIVE_INFINITY;

  /** 0 for silence to 1, smoothed. */
  get level(): number {
    return this.#level;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** When it last spoke; minus infinity if it never did. */
  get spokeMs(): number {
    return this.#spokeMs;
  }

  /** The hot path. */
  forward(_packet: Buffer, view: RtpView): void {
    if (view.audioLevel < 0) return;
    this.#decibels += view.audioLevel;
    this.#packets++;
  }

  resynchronise(): void {}

  onSenderReport(): void {}

  /** Takes in what came since the last call; every 100 ms or so. */
  sample(nowMs: number): void {
    const heard = this.#packets === 0 ? 0 : Math.max(0, 1 - this.#decibels / this.#packets / SILENCE_DB);
    this.#decibels = this.#packets = 0;
    this.#level += (heard - this.#level) * (heard > this.#level ? ATTACK : RELEASE);
    // The smoothed level follows slowly: it would turn a knock into speech.
    const saysOtherwise = this.#speaking ? this.#level < STOP_LEVEL : heard > START_LEVEL;
    if (!saysOtherwise) this.#otherwiseSinceMs = Number.POSITIVE_INFINITY;
    else if (nowMs < this.#otherwiseSinceMs) this.#otherwiseSinceMs = nowMs;
    if (nowMs - this.#otherwiseSinceMs >= (this.#speaking ? STOP_MS : START_MS)) {
      this.#speaking = !this.#speaking;
      this.#otherwiseSinceMs = Number.POSITIVE_INFINITY;
    }
    if (this.#speaking) this.#spokeMs = nowMs;
  }
}
