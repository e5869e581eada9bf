import { type RtpView, readUint16 } from '../rtp/header.ts';

const FOLLOWED = 0x80;
const HAS_PADDING = 0x20;

/**
 * An RTP packet of RED (RFC 2198) with its own block alone: those before it came earlier already. One without content is
 * left as it is.
 * @param view as read from `packet`
 * @returns null where the payload is malformed
 */
export function withoutRedundancy(packet: Buffer, { payloadStart, payloadEnd }: RtpView): Buffer | null {
  if (payloadStart === payloadEnd) return packet;
  let offset = payloadStart;
  let redundantBytes = 0;
  while (offset + 4 <= payloadEnd && (packet[offset] as number) & FOLLOWED) {
    redundantBytes += readUint16(packet, offset + 2) & 0x3ff;
    offset += 4;
  }
  const start = offset + 1 + redundantBytes;
  if (start >= payloadEnd || (packet[offset] as number) & FOLLOWED) return null;
  const plain = Buffer.concat([packet.subarray(0, payloadStart), packet.subarray(start, payloadEnd)]);
  plain[0] = (plain[0] as number) & ~HAS_PADDING;
  return plain;
}
