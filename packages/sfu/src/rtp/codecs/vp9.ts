/** VP9: RFC 9628 section 4.2. A packet begins a key frame when it begins a frame (B), is not inter-predicted (P) and is of spatial layer 0. */
export function startsVp9KeyFrame(packet: Uint8Array, start: number, end: number): boolean {
  let offset = start;
  if (offset >= end) return false;
  const descriptor = packet[offset++] as number;
  const interPredicted = (descriptor & 0x40) !== 0;
  const beginsFrame = (descriptor & 0x08) !== 0;
  if (interPredicted || !beginsFrame) return false;
  if (descriptor & 0x80) {
    if (offset >= end) return false;
    offset += (packet[offset] as number) & 0x80 ? 2 : 1;
  }
  if ((descriptor & 0x20) === 0) return true;
  return offset < end && (((packet[offset] as number) >> 1) & 7) === 0;
}
