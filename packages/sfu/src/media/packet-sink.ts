import type { RtpView } from '../rtp/header.ts';
import type { Encoding } from './encoding.ts';

/** Who takes a publication's packets: a subscriber, a recorder, another SFU. None of its methods may throw. */
export interface PacketSink {
  /** A bit for every encoding it needs, by index: the publisher sends no other. */
  readonly needed: number;
  /**
   * One packet of one of the publication's encodings, extensions under the forwarded ids. The hot path.
   *
   * `packet` is shared: of its header and extension elements whatever is sent may be overwritten in place, because the
   * next sink does so too; the payload must be as before on return. It may be kept, as the cache keeps it, but its header
   * must then be taken from `view`, which is filled again for the next packet.
   */
  forward(packet: Buffer, view: RtpView, encoding: Encoding, nowMs: number): void;
  /** Something was lost for good, or the encoding's numbers begin anew: go on from its next key frame. */
  resynchronise(encoding: Encoding): void;
  /** The publisher reported about the encoding: `encoding.senderReport` is new. */
  onSenderReport(encoding: Encoding, nowMs: number): void;
}
