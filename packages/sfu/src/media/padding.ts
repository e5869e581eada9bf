import { TRANSPORT_SEQUENCE_ID } from '../rtp/extensions.ts';
import { RtpView, writeUint16, writeUint32 } from '../rtp/header.ts';

/** RTP header, extension header and one word of extensions. */
const HEADER_BYTES = 20;
/** The padding's length stands in its last byte (RFC 3550 section 5.1). */
const MAX_PADDING = 255;

const packet = Buffer.alloc(HEADER_BYTES + MAX_PADDING);
packet[0] = 0xb0;
writeUint16(packet, 12, 0xbede);
writeUint16(packet, 14, 1);
packet[16] = (TRANSPORT_SEQUENCE_ID << 4) | 1;

/** Where the extensions stand in what `paddingPacket` makes. */
export const PADDING_VIEW = new RtpView();
PADDING_VIEW.extensionProfile = 0xbede;
PADDING_VIEW.extensionStart = 16;
PADDING_VIEW.extensionEnd = HEADER_BYTES;
PADDING_VIEW.elements = 1 << TRANSPORT_SEQUENCE_ID;
PADDING_VIEW.transportSequenceAt = 17;

/**
 * An RTP packet without content, for measuring a path; overwritten by the next.
 * @param bytes how large it should be, at most; it is larger when that is less than a packet can be
 */
export function paddingPacket(ssrc: number, payloadType: number, sequence: number, bytes: number): Buffer {
  const padding = Math.min(MAX_PADDING, Math.max(1, bytes - HEADER_BYTES));
  const whole = packet.subarray(0, HEADER_BYTES + padding);
  whole[1] = payloadType;
  writeUint16(whole, 2, sequence);
  writeUint32(whole, 8, ssrc);
  whole.fill(0, HEADER_BYTES);
  whole[HEADER_BYTES + padding - 1] = padding;
  return whole;
}
