import { type RtpView, writeUint16 } from '../header.ts';
import { BitReader, BitWriter } from './bits.ts';
import { DependencyStructure } from './dependency-structure.ts';

/** Of the dependency descriptor (AV1 RTP payload format, appendix A.8): what comes first, and the flags behind it. */
const MANDATORY_BYTES = 3;
const FLAG_BITS = 5;
const FLAG = { structure: 16, activeTargets: 8, ownDependencies: 7 } as const;
const STARTS_FRAME = 0x80;
/** The longest element of each form of header extensions (RFC 8285 sections 4.2 and 4.3). */
const MAX_BYTES = { oneByte: 16, twoByte: 255 } as const;
const ONE_BYTE_PROFILE = 0xbede;

const bits = new BitReader();
const structure = new DependencyStructure();
const descriptor = Buffer.alloc(MAX_BYTES.twoByte + 8);
const writer = new BitWriter(descriptor);
/** No UDP datagram is larger. */
const copy = Buffer.alloc(0x10000 + descriptor.length);

/** Whether the descriptor of a packet may say which decode targets are active: in every frame's first, or it does so. */
export function mayTellTargets(packet: Uint8Array, { dependencyAt, dependencyBytes }: RtpView): boolean {
  if (dependencyAt === 0 || dependencyBytes < MANDATORY_BYTES) return false;
  if ((packet[dependencyAt] as number) & STARTS_FRAME) return true;
  if (dependencyBytes === MANDATORY_BYTES) return false;
  return (((packet[dependencyAt + MANDATORY_BYTES] as number) >> (8 - FLAG_BITS)) & FLAG.activeTargets) !== 0;
}

/**
 * A packet whose dependency descriptor says which decode targets are active, whatever it said before.
 * @param view of the packet, with its extension elements
 * @param targets how many decode targets there are
 * @param active a bit for each that is active, the first one lowest
 * @returns a copy that is overwritten by the next; the packet itself when its kind of header extensions has no room
 */
export function withActiveTargets(packet: Buffer, view: RtpView, targets: number, active: number): Buffer {
  const { dependencyAt, dependencyBytes, extensionStart, extensionEnd } = view;
  const isOneByte = view.extensionProfile === ONE_BYTE_PROFILE;
  const bytes = describe(packet, dependencyAt, dependencyAt + dependencyBytes, targets, active);
  if (bytes === 0 || bytes > (isOneByte ? MAX_BYTES.oneByte : MAX_BYTES.twoByte)) return packet;
  packet.copy(copy, 0, 0, dependencyAt);
  const head = dependencyAt - 1;
  copy[head] = isOneByte ? ((packet[head] as number) & 0xf0) | (bytes - 1) : bytes;
  descriptor.copy(copy, dependencyAt, 0, bytes);
  packet.copy(copy, dependencyAt + bytes, dependencyAt + dependencyBytes, extensionEnd);
  const end = extensionEnd + bytes - dependencyBytes;
  const words = (end - extensionStart + 3) >> 2;
  const paddedEnd = extensionStart + words * 4;
  copy.fill(0, end, paddedEnd);
  writeUint16(copy, extensionStart - 2, words);
  packet.copy(copy, paddedEnd, extensionEnd);
  return copy.subarray(0, packet.length + paddedEnd - extensionEnd);
}

/** Writes the descriptor anew. Returns its bytes; 0 when it is malformed or too long. */
function describe(packet: Uint8Array, start: number, end: number, targets: number, active: number): number {
  bits.load(packet, start, end);
  writer.clear().copy(bits, MANDATORY_BYTES * 8);
  const flags = end - start > MANDATORY_BYTES ? bits.read(FLAG_BITS) : 0;
  writer.write(flags | FLAG.activeTargets, FLAG_BITS);
  let count = targets;
  if (flags & FLAG.structure) {
    const before = bits.left;
    if (!structure.read(bits)) return 0;
    count = structure.targets;
    const length = before - bits.left;
    bits.load(packet, start, end).skip(MANDATORY_BYTES * 8 + FLAG_BITS);
    writer.copy(bits, length);
  }
  writer.write(active, count);
  if (flags & FLAG.activeTargets) bits.skip(count);
  if (flags & FLAG.ownDependencies) writer.copy(bits, bits.left);
  return bits.overrun || writer.length > descriptor.length ? 0 : writer.length;
}
