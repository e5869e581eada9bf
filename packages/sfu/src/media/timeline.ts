import type { SenderReport } from '../rtp/rtcp/packets.ts';
import type { Encoding } from './encoding.ts';

/** An encoding that reports say so far away from where it should go on is not believed. */
const MAX_DISAGREEMENT_MS = 2_000;
const NTP_FRACTION = 0x1_0000_0000;

/** A moment on the publisher's wall clock and on the subscriber's timestamps. */
export interface SyncPoint {
  ntpSeconds: number;
  ntpFraction: number;
  rtpTimestamp: number;
}

/** The newest packet that a stream has sent. */
export interface StreamEnd {
  /** As it went out. */
  timestamp: number;
  /** When, in milliseconds of `performance.now()`. */
  atMs: number;
}

/**
 * The timestamps of one subscriber's stream: the publisher's, plus a difference by encoding, because every encoding
 * counts from its own random beginning (RFC 3550 section 5.1). The publisher's sender reports say how two encodings
 * relate; before there are any, the time of arrival has to do.
 */
export class Timeline {
  readonly #ticksPerMs: number;
  /** Added to incoming timestamps. */
  delta = 0;
  #started = false;
  #last = 0;
  #lastMs = 0;
  /** A moment of which both times are known, and when it was told. */
  #ntpMs = Number.NaN;
  #rtp = 0;
  #knownMs = 0;

  /** @param after where another track ended on the same SSRC: a receiver would take earlier timestamps for late packets */
  constructor(clockRate: number, after: StreamEnd | null = null) {
    this.#ticksPerMs = clockRate / 1_000;
    if (after) this.advance(after.timestamp, after.atMs);
  }

  /** The newest packet so far; null before the first. */
  get end(): StreamEnd | null {
    return this.#started ? { timestamp: this.#last, atMs: this.#lastMs } : null;
  }

  /** Whether the publisher reported; `at` tells nothing before. */
  get isSynchronised(): boolean {
    return !Number.isNaN(this.#ntpMs);
  }

  /**
   * Another encoding goes on from its packet of `timestamp`, or the same one under new timestamps: sets `delta`, so that
   * time neither stops nor jumps.
   */
  continueWith(encoding: Encoding, timestamp: number, nowMs: number): void {
    if (!this.#started) return;
    const elapsed = (nowMs - this.#lastMs) * this.#ticksPerMs;
    const { senderReport } = encoding;
    if (senderReport && this.isSynchronised) {
      const reported = this.#rtp + (ntpMsOf(senderReport) - this.#ntpMs) * this.#ticksPerMs;
      const delta = Math.round(reported - senderReport.rtpTimestamp);
      const ahead = (timestamp + delta - this.#last) | 0;
      if (Math.abs(ahead - elapsed) <= MAX_DISAGREEMENT_MS * this.#ticksPerMs) {
        // The picture of a moment that the last encoding has shown already, or nearly so.
        this.delta = ahead > 0 ? delta | 0 : (this.#last + 1 - timestamp) | 0;
        return;
      }
    }
    this.delta = (this.#last + Math.max(1, Math.round(elapsed)) - timestamp) | 0;
  }

  /** The newest packet of all, under its outgoing timestamp. The hot path. */
  advance(timestamp: number, nowMs: number): void {
    this.#started = true;
    this.#last = timestamp;
    this.#lastMs = nowMs;
  }

  /** Learns from a report about the encoding that is forwarded under `delta`. */
  synchronise(report: SenderReport, reportMs: number): void {
    this.#ntpMs = ntpMsOf(report);
    this.#rtp = (report.rtpTimestamp + this.delta) >>> 0;
    this.#knownMs = reportMs;
  }

  /** The publisher's time at `nowMs`, worked out from its last report. */
  at(nowMs: number): SyncPoint {
    const elapsedMs = nowMs - this.#knownMs;
    const ntpMs = this.#ntpMs + elapsedMs;
    const ntpSeconds = Math.floor(ntpMs / 1_000);
    return {
      ntpSeconds: ntpSeconds >>> 0,
      ntpFraction: Math.round((ntpMs / 1_000 - ntpSeconds) * NTP_FRACTION) >>> 0,
      rtpTimestamp: Math.round(this.#rtp + elapsedMs * this.#ticksPerMs) >>> 0,
    };
  }
}

function ntpMsOf({ ntpSeconds, ntpFraction }: SenderReport): number {
  return ntpSeconds * 1_000 + (ntpFraction / NTP_FRACTION) * 1_000;
}
