import { PayloadView } from './codecs/payload.ts';

/** Smallest RTP header (RFC 3550 section 5.1), in bytes. */
const RTP_HEADER_BYTES = 12;

/**
 * Where things stand in one RTP packet, and what they say. One object is filled again for every packet, so that reading
 * allocates nothing: the header by `readRtp`, the extension elements by `renumberExtensions`, the rest by the codec's
 * PayloadReader. Offsets count from the packet's first byte.
 */
export class RtpView {
  payloadType = 0;
  marker = false;
  /** 0-65535. */
  sequence = 0;
  /** Unsigned 32 bits, in the codec's clock. */
  timestamp = 0;
  ssrc = 0;
  /** Offset of the payload: after CSRCs and header extensions. */
  payloadStart = 0;
  /** Offset behind the payload, padding left out. */
  payloadEnd = 0;
  /** The extension block's profile word (0xbede or 0x100x, RFC 8285), 0 without a block. */
  extensionProfile = 0;
  extensionStart = 0;
  extensionEnd = 0;

  /** A bit for every forwarded id (FORWARDED_EXTENSION_IDS) that there is an element of. */
  elements = 0;
  /** Offset of the two bytes of the transport-wide sequence number, and what they say; 0 without the element. */
  transportSequenceAt = 0;
  transportSequence = 0;
  /** Offset of the three bytes of abs-send-time; 0 without the element. */
  sendTimeAt = 0;
  /** RFC 6464: 0 (loudest) to 127 (silence) below full scale, in dB; -1 without the element. */
  audioLevel = -1;
  /** RFC 6464: the sender believes that this is speech. */
  voice = false;
  /** Offset and length of the dependency descriptor; 0 without the element. */
  dependencyAt = 0;
  dependencyBytes = 0;

  /** What the codec and the dependency descriptor tell, as the stream's PayloadReader read it. */
  readonly payload = new PayloadView();
}

/** Tells RTCP from RTP on one port (RFC 5761 section 4): packet types 192-223. */
export function isRtcp(packet: Uint8Array): boolean {
  const second = packet[1];
  return second !== undefined && second >= 192 && second <= 223;
}

/** Reads an RTP header (RFC 3550 section 5.1, RFC 8285 section 4) into `view`. False when the packet is malformed. */
export function readRtp(packet: Uint8Array, view: RtpView): boolean {
  const length = packet.length;
  if (length < RTP_HEADER_BYTES) return false;
  view.elements = view.transportSequenceAt = view.sendTimeAt = view.dependencyAt = view.dependencyBytes = 0;
  view.audioLevel = -1;
  const first = packet[0] as number;
  if (first >> 6 !== 2) return false;
  const second = packet[1] as number;
  view.marker = second >= 128;
  view.payloadType = second & 127;
  view.sequence = readUint16(packet, 2);
  view.timestamp = readUint32(packet, 4);
  view.ssrc = readUint32(packet, 8);
  let offset = RTP_HEADER_BYTES + (first & 15) * 4;
  if (offset > length) return false;
  if (first & 16) {
    if (offset + 4 > length) return false;
    view.extensionProfile = readUint16(packet, offset);
    view.extensionStart = offset + 4;
    offset = view.extensionStart + readUint16(packet, offset + 2) * 4;
    if (offset > length) return false;
    view.extensionEnd = offset;
  } else {
    view.extensionProfile = 0;
    view.extensionStart = view.extensionEnd = offset;
  }
  view.payloadStart = offset;
  const padding = first & 32 ? (packet[length - 1] as number) : 0;
  if ((first & 32 && padding === 0) || offset + padding > length) return false;
  view.payloadEnd = length - padding;
  return true;
}

/** Reads 16 bits, big endian. The caller has checked the bounds. */
export function readUint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}

/** Reads 32 bits, big endian, unsigned. The caller has checked the bounds. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    (((bytes[offset] as number) << 24) |
      ((bytes[offset + 1] as number) << 16) |
      ((bytes[offset + 2] as number) << 8) |
      (bytes[offset + 3] as number)) >>>
    0
  );
}

export function writeUint16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >> 8;
  bytes[offset + 1] = value;
}

export function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** How far `to` is ahead of `from` in 16-bit sequence numbers: -32768 to 32767. */
export function sequenceDistance(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}

/**
 * Turns a retransmission (RFC 4588 section 4) back into the packet it repeats, in place; `view` is then the view of that.
 * @param view as read from `packet`, extension elements included, payload not
 * @returns the original packet, two bytes shorter; null for an RTX packet without content (padding probes)
 */
export function unwrapRtx(packet: Buffer, view: RtpView, payloadType: number, ssrc: number): Buffer | null {
  const { payloadStart } = view;
  if (view.payloadEnd - payloadStart < 2) return null;
  const sequence = readUint16(packet, payloadStart);
  packet.copyWithin(2, 0, payloadStart);
  const original = packet.subarray(2);
  original[1] = (view.marker ? 128 : 0) | payloadType;
  writeUint16(original, 2, sequence);
  writeUint32(original, 8, ssrc);
  view.payloadType = payloadType;
  view.sequence = sequence;
  view.ssrc = ssrc;
  // The header moved with the packet's beginning; the payload lost its first two bytes.
  view.payloadEnd -= 2;
  return original;
}
