/** AV1: the aggregation header's N bit marks the first packet of a coded video sequence (AV1 RTP payload format, section 4.4). */
export function startsAv1KeyFrame(packet: Uint8Array, start: number, end: number): boolean {
  return start < end && ((packet[start] as number) & 0x08) !== 0;
}
