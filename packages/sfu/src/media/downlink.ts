import type { RtcTrack } from '../rtc/track.ts';
import { type RtpView, writeUint16 } from '../rtp/header.ts';
import type { RtcpPacket } from '../rtp/rtcp/packets.ts';
import type { MediaCounters } from './counters.ts';

/** What a sent packet is: media on its way for the first time, media again, or bytes that only measure the path. */
export const SENT = { media: 0, retransmission: 1, probe: 2 } as const;
export type SentKind = (typeof SENT)[keyof typeof SENT];

/** Power of two. */
const HISTORY = 1_024;

/**
 * Everything that is sent to one peer, whatever the track: numbers the packets transport-wide, keeps what was sent when,
 * and takes what the peer reports about its path.
 */
export class Downlink {
  readonly #counters: MediaCounters;
  readonly #sentMs = new Float64Array(HISTORY);
  readonly #bytes = new Uint16Array(HISTORY);
  readonly #kinds = new Uint8Array(HISTORY);
  #nextSequence = 0;
  /** When the peer last reported; minus infinity before the first time. */
  heardMs = Number.NEGATIVE_INFINITY;

  constructor(counters: MediaCounters) {
    this.#counters = counters;
  }

  /**
   * Sends one RTP packet on `track`, under the next transport-wide sequence number where it has the element for one.
   * The hot path: it allocates nothing.
   * @param view of the packet, for `transportSequenceAt` and `sendTimeAt`
   */
  send(track: RtcTrack, packet: Buffer, view: RtpView, kind: SentKind, nowMs: number): boolean {
    const at = view.transportSequenceAt;
    if (at > 0) {
      const sequence = this.#nextSequence;
      this.#nextSequence = (sequence + 1) & 0xffff;
      writeUint16(packet, at, sequence);
      const slot = sequence & (HISTORY - 1);
      this.#sentMs[slot] = nowMs;
      this.#bytes[slot] = packet.length;
      this.#kinds[slot] = kind;
    }
    if (view.sendTimeAt > 0) writeSendTime(packet, view.sendTimeAt, nowMs);
    if (!track.send(packet)) {
      this.#counters.sendFailures++;
      return false;
    }
    this.#counters.packetsOut++;
    this.#counters.bytesOut += packet.length;
    return true;
  }

  /** Takes what came on any of the peer's tracks: transport-wide feedback and REMB are about all of them. */
  receive(_packets: readonly RtcpPacket[], nowMs: number): void {
    this.heardMs = nowMs;
  }
}

// abs-send-time: seconds with 18 bits behind the point, 24 bits in all.
function writeSendTime(packet: Buffer, at: number, nowMs: number): void {
  const time = Math.floor((nowMs * 262_144) / 1_000) & 0xffffff;
  packet[at] = time >>> 16;
  writeUint16(packet, at + 1, time & 0xffff);
}
