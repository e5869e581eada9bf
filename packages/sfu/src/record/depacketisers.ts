import type { RtpView } from '../rtp/header.ts';
import { Av1Depacketiser } from './av1-depacketiser.ts';
import { NalDepacketiser } from './nal-depacketiser.ts';
import { type Depacketiser, Pieces } from './pieces.ts';

/** VP8 (RFC 7741) and VP9 (RFC 9628): everything behind the payload descriptor. */
class VpxDepacketiser extends Pieces {
  add(packet: Buffer, { payload: { dataAt }, payloadEnd }: RtpView): void {
    if (dataAt > 0) this.pieces.push(packet.subarray(dataAt, payloadEnd));
  }
}

/** Opus (RFC 7587): a packet is a frame. */
class OpusDepacketiser extends Pieces {
  override readonly isWhole = true;

  add(packet: Buffer, { payloadStart, payloadEnd }: RtpView): void {
    this.pieces.push(packet.subarray(payloadStart, payloadEnd));
  }
}

/** @param codec as in SDP. @throws Error when it cannot be recorded */
export function depacketiserOf(codec: string): Depacketiser {
  switch (codec.toLowerCase()) {
    case 'opus':
      return new OpusDepacketiser();
    case 'vp8':
    case 'vp9':
      return new VpxDepacketiser();
    case 'h264':
      return new NalDepacketiser('h264');
    case 'h265':
      return new NalDepacketiser('h265');
    case 'av1':
      return new Av1Depacketiser();
    default:
      throw new Error(`${codec} cannot be recorded`);
  }
}
