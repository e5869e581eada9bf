import { sequenceDistance } from '../rtp/header.ts';
import type { ReportBlock, SenderReport } from '../rtp/rtcp/packets.ts';

/** Reception statistics of one incoming stream, after RFC 3550 section 6.4 and appendix A. */
export class Reception {
  readonly #clockRate: number;
  #started = false;
  #baseSequence = 0;
  /** Highest sequence number with its cycles. */
  #highest = 0;
  #received = 0;
  #expectedBefore = 0;
  #receivedBefore = 0;
  #jitter = 0;
  #lastTransit = 0;
  #lastSenderReport = 0;
  #senderReportAtMs = 0;

  constructor(clockRate: number) {
    this.#clockRate = clockRate;
  }

  /** Counts one packet of the stream itself (retransmissions on their own SSRC are not). */
  record(sequence: number, timestamp: number, nowMs: number): void {
    this.#received++;
    const transit = nowMs * (this.#clockRate / 1000) - timestamp;
    if (!this.#started) {
      this.#started = true;
      this.#baseSequence = this.#highest = sequence;
    } else {
      const ahead = sequenceDistance(this.#highest & 0xffff, sequence);
      if (ahead > 0) this.#highest += ahead;
      const change = Math.abs(transit - this.#lastTransit);
      // A jump of the timestamp (new source, wrap) is not jitter.
      if (change < this.#clockRate * 10) this.#jitter += (change - this.#jitter) / 16;
    }
    this.#lastTransit = transit;
  }

  recordSenderReport(report: SenderReport, nowMs: number): void {
    this.#lastSenderReport = ((report.ntpSeconds << 16) | (report.ntpFraction >>> 16)) >>> 0;
    this.#senderReportAtMs = nowMs;
  }

  /**
   * The report block for `ssrc`; null when nothing came since the last one (RFC 3550 section 6.4): the publisher sees by its
   * reports that it gets through. Starts the next interval.
   */
  report(ssrc: number, nowMs: number): ReportBlock | null {
    if (this.#received === this.#receivedBefore) return null;
    const expected = this.#highest - this.#baseSequence + 1;
    const lost = Math.max(-0x800000, Math.min(0x7fffff, expected - this.#received));
    const expectedNow = expected - this.#expectedBefore;
    const lostNow = expectedNow - (this.#received - this.#receivedBefore);
    this.#expectedBefore = expected;
    this.#receivedBefore = this.#received;
    return {
      ssrc,
      fractionLost: expectedNow > 0 && lostNow > 0 ? Math.min(255, Math.floor((lostNow * 256) / expectedNow)) : 0,
      packetsLost: lost,
      highestSequence: this.#highest >>> 0,
      jitter: Math.floor(this.#jitter),
      lastSenderReport: this.#lastSenderReport,
      delaySinceLastSenderReport:
        this.#lastSenderReport === 0 ? 0 : Math.round((nowMs - this.#senderReportAtMs) * 65.536) >>> 0,
    };
  }
}
