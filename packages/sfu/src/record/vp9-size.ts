import { BitReader } from '../rtp/codecs/bits.ts';

const SYNC_CODE = 0x498342;
const SRGB = 7;

/** The size of a VP9 key frame by its uncompressed header (VP9 bitstream, section 6.2), which not every sender repeats in RTP; null when it is none. */
export function readVp9Size(frame: Uint8Array): { width: number; height: number } | null {
  const bits = new BitReader();
  bits.load(frame, 0, frame.length);
  if (bits.read(2) !== 2) return null;
  const profile = bits.read(1) | (bits.read(1) << 1);
  if (profile === 3) bits.skip(1);
  // `show_existing_frame`, then `frame_type`, 0 for a key frame.
  if (bits.flag() || bits.flag()) return null;
  bits.skip(2);
  if (bits.read(24) !== SYNC_CODE) return null;
  if (profile >= 2) bits.skip(1);
  if (bits.read(3) !== SRGB) bits.skip(profile % 2 === 1 ? 4 : 1);
  else if (profile % 2 === 1) bits.skip(1);
  const [width, height] = [bits.read(16) + 1, bits.read(16) + 1];
  return bits.overrun ? null : { width, height };
}
