/** VP8: payload descriptor of RFC 7741 section 4.2, then the frame header's inverse key frame bit. */
export function startsVp8KeyFrame(packet: Uint8Array, start: number, end: number): boolean {
  let offset = start;
  if (offset >= end) return false;
  const descriptor = packet[offset++] as number;
  const startsFirstPartition = (descriptor & 0x10) !== 0 && (descriptor & 0x07) === 0;
  if (!startsFirstPartition) return false;
  if (descriptor & 0x80) {
    if (offset >= end) return false;
    const extension = packet[offset++] as number;
    if (extension & 0x80) offset += (packet[offset] as number) & 0x80 ? 2 : 1; // picture id, 7 or 15 bits
    if (extension & 0x40) offset++; // TL0PICIDX
    if (extension & 0x30) offset++; // TID, Y, KEYIDX
  }
  return offset < end && ((packet[offset] as number) & 1) === 0;
}
