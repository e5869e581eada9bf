import type { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import type { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import type { UplinkMedia } from '../rtc/sections.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { buildFir, buildNack, buildPli, buildReceiverReport, buildRemb, buildSdes } from '../rtp/rtcp/build.ts';
import type { ReportBlock } from '../rtp/rtcp/packets.ts';
import type { MediaCounters } from './counters.ts';
import type { Encoding } from './encoding.ts';

/** Our SSRC as a sender of RTCP towards publishers. */
const SSRC = 1;
const DESCRIPTION = buildSdes(SSRC, 'orama-sfu');
const RECEIVER_REPORT_MS = 1_000;
const REMB_INTERVAL_MS = 500;

/** What a publisher is told about one of its tracks, by RTCP. */
export class UplinkFeedback {
  readonly #counters: MediaCounters;
  readonly #encodings: readonly Encoding[];
  readonly #estimator: ReceiveEstimator;
  track: RtcTrack | null = null;
  media: UplinkMedia;
  #firSequence = 0;
  #lastReportMs = 0;
  #lastRembMs = 0;

  constructor(
    media: UplinkMedia,
    encodings: readonly Encoding[],
    estimator: ReceiveEstimator,
    counters: MediaCounters,
  ) {
    this.media = media;
    this.#encodings = encodings;
    this.#estimator = estimator;
    this.#counters = counters;
  }

  /** Asks for the packets of `encoding` that are missing and were not asked for a moment ago. */
  sendNacks(encoding: Encoding, nowMs: number): void {
    const due = encoding.nacks.due(nowMs);
    if (due.length === 0 || !this.track) return;
    this.#counters.nacksOut += due.length;
    this.track.send(buildNack(SSRC, encoding.ssrc, due));
  }

  /** False when that was not possible yet. */
  askForKeyFrame({ ssrc }: Encoding): boolean {
    if (!this.track?.isOpen || ssrc === 0) return false;
    this.#counters.keyFrameRequestsOut++;
    return this.track.send(this.media.pli ? buildPli(SSRC, ssrc) : buildFir(SSRC, ssrc, this.#firSequence++));
  }

  /** Receiver reports and REMB, when it is time. */
  tick(nowMs: number): void {
    if (nowMs - this.#lastReportMs >= RECEIVER_REPORT_MS) {
      this.#lastReportMs = nowMs;
      this.#sendReceiverReport(nowMs);
    }
    if (this.media.remb && nowMs - this.#lastRembMs >= REMB_INTERVAL_MS) {
      this.#lastRembMs = nowMs;
      this.track?.send(buildRemb(SSRC, this.#estimator.update(nowMs), this.#ssrcs));
    }
  }

  /** Sends what `arrivals` has about the whole connection; any of its tracks will do. False when this one cannot. */
  sendTransportFeedback(arrivals: ArrivalRecorder): boolean {
    if (!this.track || !this.media.transportFeedback) return false;
    const about = this.#ssrcs[0] ?? 0;
    for (let packet = arrivals.take(SSRC, about); packet; packet = arrivals.take(SSRC, about)) this.track.send(packet);
    return true;
  }

  get #ssrcs(): number[] {
    return this.#encodings.map(({ ssrc }) => ssrc).filter((ssrc) => ssrc !== 0);
  }

  #sendReceiverReport(nowMs: number): void {
    const blocks: ReportBlock[] = [];
    for (const { reception, ssrc } of this.#encodings) {
      const block = reception.report(ssrc, nowMs);
      if (block) blocks.push(block);
    }
    if (this.media.remb && blocks.length > 0) {
      const lost = blocks.reduce((sum, { fractionLost }) => sum + fractionLost, 0);
      this.#estimator.learnLoss(lost / blocks.length / 256);
    }
    if (blocks.length > 0) this.track?.send(Buffer.concat([buildReceiverReport(SSRC, blocks), DESCRIPTION]));
  }
}
