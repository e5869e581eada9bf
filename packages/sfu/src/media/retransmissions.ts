import { TokenBucket } from '@orama/core';
import { readForwarded } from '../rtp/extensions.ts';
import { RtpView, sequenceDistance, writeUint16, writeUint32 } from '../rtp/header.ts';
import type { MediaCounters } from './counters.ts';
import { type Downlink, SENT } from './downlink.ts';
import type { Encoding } from './encoding.ts';
import type { Forwarder, Outgoing } from './forwarder.ts';
import { MAX_CACHED_BYTES, PacketCache } from './packet-cache.ts';
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

/** What is kept as it went out, by kind of track: sound in small steps, because everybody has a lot of it. */
const KEPT = {
  audio: { maxBytes: 32_768, chunkBytes: MAX_CACHED_BYTES },
  video: { maxBytes: 3_000_000, chunkBytes: undefined },
};

/** Where a packet that is sent again is copied to, and put together for its RTX stream: its descriptor may have grown. */
const scratch = Buffer.alloc(MAX_CACHED_BYTES);
const wrapped = Buffer.alloc(MAX_CACHED_BYTES + 256);
const view = new RtpView();

/** The stream that a subscriber takes repeated packets on (RFC 4588). */
export interface RtxStream {
  ssrc: number;
  payloadType: number;
}

/**
 * Answers the NACKs of one subscriber (RFC 4585 section 6.2.1): on its RTX stream from the publisher's caches, else with
 * the very packets that it was sent, because nothing else may go out under their numbers.
 */
export class Retransmissions {
  readonly #forwarder: Forwarder;
  readonly #downlink: Downlink;
  readonly #counters: MediaCounters;
  readonly #budget: TokenBucket;
  /** Lists of what was repeated when, made with the first NACK. */
  #sequences: Int32Array | null = null;
  #times: Float64Array | null = null;
  #nextRtx: number;
  #rtx: RtxStream | null = null;
  /** Where there is no RTX stream: of packets before this one nothing is known. */
  #keptFrom = 0;

  /** @param firstRtxSequence the RTX stream's first number */
  constructor(forwarder: Forwarder, downlink: Downlink, counters: MediaCounters, firstRtxSequence: number) {
    this.#forwarder = forwarder;
    this.#downlink = downlink;
    this.#counters = counters;
    this.#budget = new TokenBucket(RATE, performance.now());
    this.#nextRtx = firstRtxSequence;
  }

  /** Where repeated packets go; null where there is no RTX stream. */
  get rtx(): RtxStream | null {
    return this.#rtx;
  }

  /**
   * The subscriber agreed to a track.
   * @param rtx where repeated packets go; null for none
   * @param nack it asks for lost packets also where there is no such stream
   * @param isSame what was sent before looks as it would now
   */
  agree(kind: 'audio' | 'video', rtx: RtxStream | null, nack: boolean, isSame: boolean): void {
    this.#rtx = rtx;
    const { maxBytes, chunkBytes } = KEPT[kind];
    if (!nack || rtx) this.#forwarder.sent = null;
    else if (!isSame || !this.#forwarder.sent) {
      this.#forwarder.sent = new PacketCache(maxBytes, chunkBytes);
      this.#keptFrom = this.#forwarder.numbering.next;
    }
  }

  /** Gives back what only old packets take. Call it now and then. */
  tick(nowMs: number): void {
    this.#forwarder.sent?.trim(nowMs);
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
    const { numbering, sent } = this.#forwarder;
    const rtx = this.#rtx;
    for (const sequence of sequences) {
      if (this.#repeatedMs(sequence) > nowMs - gapMs || !numbering.find(sequence)) continue;
      const encoding = numbering.foundEncoding as Encoding;
      // The key frame of another encoding, or that of the same one after a pause, has made useless what came before.
      if (encoding !== this.#forwarder.current || !numbering.foundIsCurrent) continue;
      const again = sent?.copy(sequence, scratch) ?? 0;
      const isFirst = rtx !== null || (again === 0 && this.#wasNeverSent(sequence));
      const length = isFirst ? encoding.cache.copy(numbering.foundSequence, scratch) : again;
      if (length === 0) continue;
      if (!this.#budget.take(nowMs) || !this.#downlink.mayRepeat(length, nowMs)) return;
      this.#note(sequence, nowMs);
      if (isFirst) this.#make(outgoing, encoding, sequence, length, nowMs);
      else this.#repeat(outgoing, length, nowMs);
    }
  }

  /** Sends about so many bytes of padding on the RTX stream. False when there is none. */
  pad(bytes: number, nowMs: number): boolean {
    const outgoing = this.#forwarder.outgoing;
    const rtx = this.#rtx;
    if (!outgoing || !rtx) return false;
    const packet = paddingPacket(rtx.ssrc, rtx.payloadType, this.#nextRtx, bytes);
    this.#nextRtx = (this.#nextRtx + 1) & 0xffff;
    return this.#downlink.send(outgoing.track, packet, PADDING_VIEW, SENT.probe, nowMs);
  }

  #repeat(outgoing: Outgoing, length: number, nowMs: number): void {
    const packet = scratch.subarray(0, length);
    if (!readForwarded(packet, view)) return;
    this.#counters.retransmitted++;
    this.#downlink.sendAgain(outgoing.track, packet, view, nowMs);
  }

  // What came before the key frame's first packet, which was late, has numbers and was not sent.
  #wasNeverSent(sequence: number): boolean {
    const { sent } = this.#forwarder;
    return sent !== null && sequenceDistance(this.#keptFrom, sequence) >= 0 && sent.isNew(sequence);
  }

  #make(outgoing: Outgoing, encoding: Encoding, sequence: number, length: number, nowMs: number): void {
    const kept = scratch.subarray(0, length);
    if (!readForwarded(kept, view)) return;
    encoding.payloads.readAgain(kept, view);
    const isLeftOut = this.#forwarder.isLeftOut(view);
    const marker = !isLeftOut && this.#forwarder.isMarked(view) ? 0x80 : 0;
    const original = isLeftOut ? withoutContent(kept, view) : this.#forwarder.renumberPayload(kept, view);
    if (original === null || !readForwarded(original, view)) return;
    const rtx = this.#rtx;
    const packet = rtx ? wrap(original, view.payloadStart, sequence) : original;
    packet[1] = marker | (rtx ?? outgoing).payloadType;
    writeUint16(packet, 2, rtx ? this.#nextRtx : sequence);
    writeUint32(packet, 4, (view.timestamp + this.#forwarder.numbering.foundTimestampDelta) >>> 0);
    writeUint32(packet, 8, (rtx ?? this.#forwarder).ssrc);
    if (rtx) this.#nextRtx = (this.#nextRtx + 1) & 0xffff;
    this.#counters.retransmitted++;
    this.#downlink.send(outgoing.track, packet, view, SENT.retransmission, nowMs);
    this.#forwarder.sent?.put(sequence, packet, nowMs);
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

/** What stands for a packet whose picture is left out: its header, without the bit that says it is padded. */
function withoutContent(packet: Buffer, { payloadStart }: RtpView): Buffer {
  packet[0] = (packet[0] as number) & 0xdf;
  return packet.subarray(0, payloadStart);
}

/** The packet for the RTX stream: the number it had stands before its payload. The next one overwrites it. */
function wrap(original: Buffer, payloadStart: number, sequence: number): Buffer {
  const packet = wrapped.subarray(0, original.length + RTX_HEADER_BYTES);
  original.copy(packet, 0, 0, payloadStart);
  writeUint16(packet, payloadStart, sequence);
  original.copy(packet, payloadStart + RTX_HEADER_BYTES, payloadStart);
  return packet;
}
