import type { Random } from '../support/random.ts';

/** Bytes and lengths at which readers go wrong. */
export const EDGES = [0, 1, 2, 3, 4, 7, 8, 19, 20, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff];
export const EDGE_LENGTHS = [0, 1, 3, 4, 5, 8, 20, 0x7fff, 0x8000, 0xfffc, 0xfffd, 0xffff];

/** Changes bytes in one place, without looking at what they mean; what comes out is the caller's. */
export function mutateBytesOnce(bytes: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const inside = Math.max(0, Math.min(at, bytes.length - 1));
  switch (random.below(8)) {
    case 0: // One bit.
      if (bytes.length > 0) bytes[inside] = (bytes[inside] as number) ^ (1 << random.below(8));
      return bytes;
    case 1: // One byte, any.
      if (bytes.length > 0) bytes[inside] = random.below(256);
      return bytes;
    case 2: // One byte, where readers go wrong.
      if (bytes.length > 0) bytes[inside] = random.pick(EDGES);
      return bytes;
    case 3: // Some aligned 16 bits: types and lengths lie there.
      if (bytes.length >= 2) bytes.writeUInt16BE(random.pick(EDGE_LENGTHS), Math.min(inside & ~1, bytes.length - 2));
      return bytes;
    case 4: // Cut short.
      return bytes.subarray(0, at);
    case 5: // The front of one message, the back of another.
      return Buffer.concat([bytes.subarray(0, at), backOf(random.pick(corpus), random)]);
    case 6: // Bytes put in.
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(40)), bytes.subarray(at)]);
    default: // A piece twice.
      return Buffer.concat([bytes, bytes.subarray(at)]);
  }
}

function backOf(other: Buffer, random: Random): Buffer {
  return other.subarray(random.below(other.length + 1));
}
