import { TokenBucket } from '@orama/core';
import { readForwarded } from '../rtp/extensions.ts';
import { RtpView, writeUint16, writeUint32 } from '../rtp/header.ts';
import type { MediaCounters } from './counters.ts';
import { type Downlink, SENT } from './downlink.ts';
import type { Encoding } from './encoding.ts';
import type { Forwarder, Outgoing } from './forwarder.ts';
import { MAX_CACHED_BYTES } from './packet-cache.ts';
import { PADDING_VIEW, paddingPacket } from './padding.ts';

/** What one subscription may ask for: more would be an attack or a lost cause. */
const RATE = { burst: 300, perSec: 600 };
/** Power of two: so many packets are remembered as just repeated. */
const REMEMBERED = 128;
/** Before the round-trip time is known, and its bounds. */
const DEFAULT_RTT_MS = 100;
const MIN_RTT_MS = 10;
const MAX_RTT_MS = 500;
/** Browsers ask again after a round trip by their own clock: that must not come just too early. */
const RTT_SHARE = 0.7;
/** An RTX payload begins with the original sequence number (RFC 4588 section 4). */
const RTX_HEADER_BYTES = 2;

/** Where a packet is put together that is sent again. */
const scratch = Buffer.alloc(MAX_CACHED_BYTES + RTX_HEADER_BYTES);
const view = new RtpView();

/** The stream that a subscriber takes repeated packets on (RFC 4588). */
export interface RtxStream {
  ssrc: number;
  payloadType: number;
}

/** Answers the NACKs of one subscriber from the publisher's caches (RFC 4585 section 6.2.1). */
export class Retransmissions {
  readonly #forwarder: Forwarder;
  readonly #downlink: Downlink;
  readonly #counters: MediaCounters;
  readonly #budget: TokenBucket;
  /** Lists of what was repeated when, made with the first NACK. */
  #sequences: Int32Array | null = null;
  #times: Float64Array | null = null;
  #nextRtx: number;
  /** Repeated packets go here; null: under their own SSRC and number. */
  rtx: RtxStream | null = null;

  /** @param firstRtxSequence the RTX stream's first number */
  constructor(forwarder: Forwarder, downlink: Downlink, counters: MediaCounters, firstRtxSequence: number) {
    this.#forwarder = forwarder;
    this.#downlink = downlink;
    this.#counters = counters;
    this.#budget = new TokenBucket(RATE, performance.now());
    this.#nextRtx = firstRtxSequence;
  }

  /** The first number of the RTX stream that was not sent. */
  get nextRtxSequence(): number {
    return this.#nextRtx;
  }

  /**
   * Sends packets again: each at most about once in a round trip, because its repetition may be on its way already.
   * @param sequences as the subscriber knows them
   */
  answer(sequences: readonly number[], rttMs: number | null, nowMs: number): void {
    this.#counters.nacksIn += sequences.length;
    const outgoing = this.#forwarder.outgoing;
    if (!outgoing) return;
    const gapMs = Math.min(MAX_RTT_MS, Math.max(MIN_RTT_MS, rttMs ?? DEFAULT_RTT_MS)) * RTT_SHARE;
    const { numbering } = this.#forwarder;
    for (const sequence of sequences) {
      if (this.#repeatedMs(sequence) > nowMs - gapMs || !numbering.find(sequence)) continue;
      const encoding = numbering.foundEncoding as Encoding;
      // The key frame of another encoding, or that of the same one after a pause, has made useless what came before.
      if (encoding !== this.#forwarder.current || !numbering.foundIsCurrent) continue;
      const length = encoding.cache.copy(numbering.foundSequence, scratch);
      if (length === 0) continue;
      if (!this.#budget.take(nowMs) || !this.#downlink.mayRepeat(length, nowMs)) return;
      this.#note(sequence, nowMs);
      this.#repeat(outgoing, encoding, sequence, length, nowMs);
    }
  }

  /** Sends about so many bytes of padding on the RTX stream. False when there is none. */
  pad(bytes: number, nowMs: number): boolean {
    const outgoing = this.#forwarder.outgoing;
    if (!outgoing || !this.rtx) return false;
    const packet = paddingPacket(this.rtx.ssrc, this.rtx.payloadType, this.#nextRtx, bytes);
    this.#nextRtx = (this.#nextRtx + 1) & 0xffff;
    return this.#downlink.send(outgoing.track, packet, PADDING_VIEW, SENT.probe, nowMs);
  }

  #repeat(outgoing: Outgoing, encoding: Encoding, sequence: number, length: number, nowMs: number): void {
    let packet = scratch.subarray(0, length);
    if (!readForwarded(packet, view)) return;
    encoding.payloads.readAgain(packet, view);
    if (!this.#forwarder.renumberPayload(packet, view)) return;
    const timestamp = (view.timestamp + this.#forwarder.numbering.foundTimestampDelta) >>> 0;
    const marker = this.#forwarder.isMarked(view) ? 0x80 : 0;
    const { rtx } = this;
    if (rtx) {
      scratch.copyWithin(view.payloadStart + RTX_HEADER_BYTES, view.payloadStart, length);
      packet = scratch.subarray(0, length + RTX_HEADER_BYTES);
      writeUint16(packet, view.payloadStart, sequence);
      packet[1] = marker | rtx.payloadType;
      writeUint16(packet, 2, this.#nextRtx);
      this.#nextRtx = (this.#nextRtx + 1) & 0xffff;
      writeUint32(packet, 8, rtx.ssrc);
    } else {
      packet[1] = marker | outgoing.payloadType;
      writeUint16(packet, 2, sequence);
      writeUint32(packet, 8, this.#forwarder.ssrc);
    }
    writeUint32(packet, 4, timestamp);
    this.#counters.retransmitted++;
    this.#downlink.send(outgoing.track, packet, view, SENT.retransmission, nowMs);
  }

  #repeatedMs(sequence: number): number {
    const slot = sequence & (REMEMBERED - 1);
    return this.#sequences?.[slot] === sequence ? (this.#times?.[slot] as number) : Number.NEGATIVE_INFINITY;
  }

  #note(sequence: number, nowMs: number): void {
    this.#sequences ??= new Int32Array(REMEMBERED).fill(-1);
    this.#times ??= new Float64Array(REMEMBERED);
    this.#sequences[sequence & (REMEMBERED - 1)] = sequence;
    this.#times[sequence & (REMEMBERED - 1)] = nowMs;
  }
}
