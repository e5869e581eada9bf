/** Bytes in front of the application data: channel number and length (RFC 8656 section 12.4). */
export const CHANNEL_HEADER_BYTES = 4;
/** Lowest channel number a client may bind (RFC 8656 section 12). */
export const CHANNEL_MIN = 0x4000;
/**
 * Highest channel number a client may bind. RFC 8656 stops at 0x4fff; clients of RFC 5766, coturn's among them, pick
 * any up to 0x7ffe, and no other protocol shares our ports.
 */
export const CHANNEL_MAX = 0x7ffe;

/** True when the first byte of a packet or frame says ChannelData (top bits 01) and not STUN (00). */
export function isChannelData(firstByte: number): boolean {
  return (firstByte & 0xc0) === 0x40;
}

/**
 * Length of the application data of a ChannelData packet, the first `bytes` of `buffer`, or -1 when it is cut short.
 * Extra bytes are padding.
 */
export function channelDataLength(buffer: Buffer, bytes: number): number {
  if (bytes < CHANNEL_HEADER_BYTES) return -1;
  const length = ((buffer[2] as number) << 8) | (buffer[3] as number);
  return CHANNEL_HEADER_BYTES + length <= bytes ? length : -1;
}

/** `length` rounded up to whole 32-bit words, as STUN attributes and stream ChannelData are padded. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

/**
 * Writes a ChannelData message to the start of `target` and returns its size.
 * With `pad` the size is a multiple of four, as streams require (RFC 8656 section 12.5).
 */
export function writeChannelData(target: Buffer, channel: number, data: Buffer, pad: boolean): number {
  target.writeUInt16BE(channel, 0);
  target.writeUInt16BE(data.length, 2);
  data.copy(target, CHANNEL_HEADER_BYTES);
  const end = CHANNEL_HEADER_BYTES + data.length;
  if (!pad) return end;
  const paddedEnd = padded(end);
  target.fill(0, end, paddedEnd);
  return paddedEnd;
}

/** A ChannelData message in a buffer of its own. */
export function encodeChannelData(channel: number, data: Buffer, pad: boolean): Buffer {
  const packet = Buffer.allocUnsafe(padded(CHANNEL_HEADER_BYTES + data.length));
  return packet.subarray(0, writeChannelData(packet, channel, data, pad));
}
