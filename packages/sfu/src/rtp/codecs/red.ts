import type { RtpView } from '../header.ts';

const FOLLOWED = 0x80;
/** Header of a block that another follows (RFC 2198 section 3), in bytes; the last one's is its first byte alone. */
const BLOCK_HEADER_BYTES = 4;

/** Gives the blocks inside a RED packet that have the payload type `from` the payload type `to`, in place. */
export function renumberRed(packet: Uint8Array, { payloadStart, payloadEnd }: RtpView, from: number, to: number): void {
  for (let at = payloadStart; at < payloadEnd; at += BLOCK_HEADER_BYTES) {
    const head = packet[at] as number;
    if ((head & 127) === from) packet[at] = (head & FOLLOWED) | to;
    if (head < FOLLOWED) return;
  }
}
