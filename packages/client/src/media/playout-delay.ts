/** Of the pictures that came, so many may have come too late to be shown: more, and the receiver is told to wait longer. */
const LATE_SHARE = 0.02;
/** A single one says nothing. */
const LATE_LEAST = 2;
/** What a second weighs after another one: a judgement rests on about five. */
const FADING = 0.8;
const STEP_MS = 60;
/** More would be felt in a conversation more than what it mends. */
const MAX_MS = 400;
/** The wait shrinks when it was long enough for so many seconds in a row, by so much. */
const CALM_POLLS = 10;
const SHRINK_MS = 20;
/** A receiver waits so long anyway, about: it is left alone again. */
const LEAST_MS = 80;

/** What an RTCStatsReport says of the pictures that one receiver gets, as totals. */
export interface PictureReading {
  decoded: number;
  /** Came too late to be shown. */
  dropped: number;
  /** Requests for lost packets. */
  nacks: number;
  /** Times that the picture stood still (webrtc-stats, `freezeCount`). */
  freezes: number;
  /** What the receiver aimed to wait, summed up over `emitted` pictures, in ms. */
  targetMs: number;
  emitted: number;
}

/**
 * How long one receiver should hold pictures back before it shows them. Browsers judge that by jitter and forget that a
 * lost packet comes a round trip later, so on a path that loses, pictures are ready just after they were given up for the
 * next, or the picture stands still where none can be given up. Where that happens the wait grows until it does not, and
 * shrinks again when the path has become better.
 */
export class PlayoutDelay {
  #last: PictureReading | undefined;
  #ms = 0;
  #late = 0;
  #seen = 0;
  #calm = 0;

  /** Takes one reading a second; the least wait in milliseconds, null to leave it to the browser. */
  next(reading: PictureReading): number | null {
    const last = this.#last;
    this.#last = reading;
    if (last) this.#judge(last, reading);
    return this.#ms === 0 ? null : this.#ms;
  }

  #judge(last: PictureReading, now: PictureReading): void {
    // A slow decoder drops pictures too: only where packets were lost it helps to wait.
    const isLossy = now.nacks > last.nacks;
    const late = isLossy ? Math.max(0, now.dropped - last.dropped) : 0;
    const isFrozen = isLossy && now.freezes > last.freezes;
    this.#late = this.#late * FADING + late;
    this.#seen = this.#seen * FADING + late + Math.max(0, now.decoded - last.decoded);
    this.#calm += 1;
    const areLate = late > 0 && this.#late >= LATE_LEAST && this.#late > this.#seen * LATE_SHARE;
    if (areLate || isFrozen) {
      const emitted = now.emitted - last.emitted;
      const waitedMs = emitted > 0 ? (now.targetMs - last.targetMs) / emitted : 0;
      this.#ms = Math.min(MAX_MS, Math.round(Math.max(this.#ms, waitedMs)) + STEP_MS);
      this.#late = this.#seen = this.#calm = 0;
    } else if (this.#ms > 0 && this.#calm >= CALM_POLLS) {
      this.#ms -= SHRINK_MS;
      if (this.#ms < LEAST_MS) this.#ms = 0;
      this.#calm = 0;
    }
  }
}

/** The members of RTCInboundRtpStreamStats that are read here; a browser may leave out any of them. */
interface Inbound {
  type: string;
  kind?: string;
  mid?: string;
  framesDecoded?: number;
  framesDropped?: number;
  nackCount?: number;
  freezeCount?: number;
  jitterBufferTargetDelay?: number;
  jitterBufferEmittedCount?: number;
}

/** Reads an RTCStatsReport: the pictures of every m-line, by mid. */
export function readPictures(report: Iterable<[string, unknown]>): Map<string, PictureReading> {
  const pictures = new Map<string, PictureReading>();
  for (const [, entry] of report) {
    const { type, kind, mid, ...inbound } = entry as Inbound;
    if (type !== 'inbound-rtp' || kind !== 'video' || mid === undefined) continue;
    pictures.set(mid, {
      decoded: inbound.framesDecoded ?? 0,
      dropped: inbound.framesDropped ?? 0,
      nacks: inbound.nackCount ?? 0,
      freezes: inbound.freezeCount ?? 0,
      targetMs: (inbound.jitterBufferTargetDelay ?? 0) * 1_000,
      emitted: inbound.jitterBufferEmittedCount ?? 0,
    });
  }
  return pictures;
}
