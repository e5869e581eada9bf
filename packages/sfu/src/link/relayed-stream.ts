import { randomInt } from 'node:crypto';
import type { LinkEncoding } from '@orama/protocol';
import type { MediaCounters } from '../media/counters.ts';
import type { Downlink } from '../media/downlink.ts';
import type { Encoding } from '../media/encoding.ts';
import { EVERY_LAYER, Forwarder } from '../media/forwarder.ts';
import { Retransmissions } from '../media/retransmissions.ts';
import { SenderReports } from '../media/sender-reports.ts';
import type { RtcTrack } from '../rtc/track.ts';
import type { RtpView } from '../rtp/header.ts';
import type { ReportBlock, RtcpPacket } from '../rtp/rtcp/packets.ts';

export interface RelayedStreamOptions {
  encoding: Encoding;
  track: RtcTrack;
  cname: string;
  downlink: Downlink;
  counters: MediaCounters;
  /** Nothing can be sent on before the encoding's next key frame. */
  needKeyFrame: (encoding: Encoding) => void;
}

/** One encoding of a track on its way to another SFU: all of it, or nothing while nobody watches it there. */
export class RelayedStream {
  readonly encoding: Encoding;
  readonly ssrc = randomSsrc();
  readonly rtxSsrc = randomSsrc();
  readonly #track: RtcTrack;
  readonly #forwarder: Forwarder;
  readonly #retransmissions: Retransmissions;
  readonly #reports: SenderReports;
  readonly #needKeyFrame: (encoding: Encoding) => void;
  #wanted = false;

  constructor({ encoding, track, cname, downlink, counters, needKeyFrame }: RelayedStreamOptions) {
    this.encoding = encoding;
    this.#track = track;
    this.#needKeyFrame = needKeyFrame;
    this.#forwarder = new Forwarder({
      ...{ ssrc: this.ssrc, firstSequence: randomInt(0x8000), clockRate: encoding.codec.clockRate, downlink },
      onSwitch: (nowMs) => this.synchronise(nowMs),
    });
    this.#forwarder.limit(EVERY_LAYER, EVERY_LAYER);
    this.#retransmissions = new Retransmissions(this.#forwarder, downlink, counters, randomInt(0x8000));
    this.#reports = new SenderReports(this.#forwarder, cname);
    track.whenOpen(() => this.#direct());
  }

  /** How the other end is told of it. */
  get description(): LinkEncoding {
    const { rid, width, height, maxBitrateBps } = this.encoding;
    return {
      ...(rid === undefined ? {} : { rid }),
      ...{ ssrc: this.ssrc, rtxSsrc: this.rtxSsrc, width, height, maxBitrate: maxBitrateBps },
    };
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  set wanted(wanted: boolean) {
    if (this.#wanted === wanted) return;
    this.#wanted = wanted;
    this.#apply();
  }

  /** The hot path. */
  forward(packet: Buffer, view: RtpView, nowMs: number): void {
    if (!this.#wanted) return;
    if (this.encoding.codec !== this.#forwarder.outgoing?.codec) this.#direct();
    this.#forwarder.forward(packet, view, this.encoding, nowMs);
  }

  /** The encoding goes on from its next key frame. */
  resynchronise(): void {
    this.#forwarder.resynchronise(this.encoding);
    if (this.#wanted && this.#forwarder.awaited) this.#needKeyFrame(this.encoding);
  }

  /** The publisher reported, or the encoding begins: lip sync follows its clock. */
  synchronise(nowMs: number): void {
    const { current, timeline } = this.#forwarder;
    if (current?.senderReport) timeline.synchronise(current.senderReport, current.senderReportMs);
    this.#reports.send(nowMs);
  }

  tick(nowMs: number): void {
    this.#forwarder.rate.sample(nowMs);
    this.#retransmissions.tick(nowMs);
    this.#reports.tick(nowMs);
  }

  /** What the other end reports or asks for. */
  receive(packet: RtcpPacket, nowMs: number): void {
    const { ssrc } = this;
    if (packet.type === 'nack' && packet.mediaSsrc === ssrc)
      this.#retransmissions.answer(packet.sequences, this.#reports.rttMs, nowMs);
    else if (packet.type === 'pli' && packet.mediaSsrc === ssrc) this.#needKeyFrame(this.encoding);
    else if (packet.type === 'rr' || packet.type === 'sr')
      for (const report of packet.reports) this.#learn(report, nowMs);
  }

  close(): void {
    this.#wanted = false;
    this.#forwarder.direct(null);
    this.#forwarder.pause();
  }

  // The link needs no payload types of its own: there is one track to an SSRC.
  #direct(): void {
    if (!this.#track.isOpen) return;
    const { codec } = this.encoding;
    this.#forwarder.direct({ track: this.#track, codec, payloadType: codec.payloadType });
    const { rtxPayloadType } = codec;
    const rtx = rtxPayloadType === undefined ? null : { ssrc: this.rtxSsrc, payloadType: rtxPayloadType };
    this.#retransmissions.agree(this.#track.kind, rtx, true, false);
    this.#forwarder.pause();
    this.#apply();
  }

  #apply(): void {
    if (!this.#wanted) {
      this.#forwarder.pause();
      return;
    }
    if (this.#forwarder.await(this.encoding, null)) this.#needKeyFrame(this.encoding);
  }

  #learn(report: ReportBlock, nowMs: number): void {
    if (report.ssrc === this.ssrc) this.#reports.learn(report, nowMs);
  }
}

// Small SSRCs are ours for feedback, zero means none.
function randomSsrc(): number {
  return randomInt(0x10000, 0x100000000);
}
