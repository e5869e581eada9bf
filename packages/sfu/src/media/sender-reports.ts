import { buildSdes, buildSenderReport } from '../rtp/rtcp/build.ts';
import type { ReportBlock } from '../rtp/rtcp/packets.ts';
import type { Forwarder } from './forwarder.ts';

/** RFC 3550 section 6.2 lets it be rarer; browsers send as often. */
const INTERVAL_MS = 1_000;
/** So many reports may be out before one is answered. */
const REMEMBERED = 8;

/**
 * Sender reports to one subscriber (RFC 3550 section 6.4.1): the publisher's wall clock, worked out for the moment of
 * sending, under the subscriber's own timestamps and counts. Both tracks of a publisher refer to one clock that way,
 * whatever layer is sent of them, and that is what lip sync is made from. The answers tell the round-trip time.
 */
export class SenderReports {
  readonly #forwarder: Forwarder;
  readonly #description: Buffer;
  readonly #middles = new Float64Array(REMEMBERED).fill(-1);
  readonly #times = new Float64Array(REMEMBERED);
  #sent = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** In milliseconds; null before the first answer. */
  rttMs: number | null = null;

  constructor(forwarder: Forwarder, cname: string) {
    this.#forwarder = forwarder;
    this.#description = buildSdes(forwarder.ssrc, cname);
  }

  /** Sends one when it is time. Call it every 50 ms or so. */
  tick(nowMs: number): void {
    if (nowMs - this.#lastMs >= INTERVAL_MS) this.send(nowMs);
  }

  /** Sends one now, if the publisher's clock is known and something flows. */
  send(nowMs: number): void {
    const { outgoing, current, timeline, ssrc, packets, octets } = this.#forwarder;
    if (!outgoing || !current || !timeline.isSynchronised) return;
    this.#lastMs = nowMs;
    const point = timeline.at(nowMs);
    const slot = this.#sent++ % REMEMBERED;
    this.#middles[slot] = ((point.ntpSeconds << 16) | (point.ntpFraction >>> 16)) >>> 0;
    this.#times[slot] = nowMs;
    const counts = { packetCount: packets >>> 0, octetCount: octets >>> 0 };
    const report = buildSenderReport({ ssrc, ...point, ...counts, reports: [] });
    outgoing.track.send(Buffer.concat([report, this.#description]));
  }

  /** Takes the subscriber's answer to one of them. */
  learn({ lastSenderReport, delaySinceLastSenderReport }: ReportBlock, nowMs: number): void {
    const slot = this.#middles.indexOf(lastSenderReport);
    if (slot < 0 || lastSenderReport === 0) return;
    this.rttMs = Math.max(0, nowMs - (this.#times[slot] as number) - delaySinceLastSenderReport / 65.536);
  }
}
