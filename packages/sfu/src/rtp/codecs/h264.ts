const IDR = 5;
const SPS = 7;
const STAP_A = 24;
const FU_A = 28;

/** H.264: RFC 6184 section 5.4. A key frame begins with a sequence parameter set or an IDR slice, alone, aggregated or fragmented. */
export function startsH264KeyFrame(packet: Uint8Array, start: number, end: number): boolean {
  if (start >= end) return false;
  const type = (packet[start] as number) & 31;
  if (type === IDR || type === SPS) return true;
  if (type === FU_A) {
    if (start + 1 >= end) return false;
    const fragment = packet[start + 1] as number;
    return (fragment & 0x80) !== 0 && (fragment & 31) === IDR;
  }
  if (type !== STAP_A) return false;
  let offset = start + 1;
  while (offset + 2 < end) {
    const size = ((packet[offset] as number) << 8) | (packet[offset + 1] as number);
    const unit = (packet[offset + 2] as number) & 31;
    if (unit === IDR || unit === SPS) return true;
    offset += 2 + size;
  }
  return false;
}
