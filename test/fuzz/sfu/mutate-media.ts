import type { Random } from '../../support/random.ts';
import { EDGES, mutateBytesOnce } from '../mutate-bytes.ts';

const RTP_HEADER_BYTES = 12;
const MAX_BYTES = 4_000;
const PROFILES = [0xbede, 0x1000, 0x1007, 0, 0xffff];
/** SR to XR (RFC 3550, 4585, 3611), and their neighbours. */
const RTCP_TYPES = [192, 199, 200, 201, 202, 203, 204, 205, 206, 207, 223];

/** Changes an RTP packet: its header, its header extensions or its payload. */
export function mutateRtp(packet: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  let mutant: Buffer = Buffer.from(packet);
  for (let n = 1 + random.below(3); n > 0; n--) mutant = mutateRtpOnce(mutant, corpus, random);
  return mutant.subarray(0, MAX_BYTES);
}

function mutateRtpOnce(packet: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  if (packet.length < RTP_HEADER_BYTES) return mutateBytesOnce(packet, corpus, random);
  const first = packet[0] as number;
  const second = packet[1] as number;
  switch (random.below(10)) {
    case 0: // Version, padding, extension bit and number of contributing sources.
      packet[0] = random.chance(80) ? (first & 0xc0) | random.below(64) : random.below(256);
      return packet;
    case 1: // Marker and payload type.
      packet[1] = random.chance(50) ? second ^ 0x80 : random.below(256);
      return packet;
    case 2: // Far away in sequence or time.
      if (random.chance(50)) packet.writeUInt16BE(random.below(0x10000), 2);
      else packet.writeUInt32BE(random.below(2 ** 32), 4);
      return packet;
    case 3: // Another source.
      packet.writeUInt32BE(random.pick([0, 1, 0xffffffff, random.below(2 ** 32)]), 8);
      return packet;
    case 4: // Other header extensions.
      return withExtensions(packet, random);
    case 5: // The number of padding bytes.
      packet[0] = first | 0x20;
      packet[packet.length - 1] = random.pick(EDGES);
      return packet;
    case 6: // The end of the header alone.
      return packet.subarray(0, RTP_HEADER_BYTES + random.below(12));
    case 7: // The payload of another.
      return Buffer.concat([
        packet.subarray(0, RTP_HEADER_BYTES + random.below(40)),
        tailOf(random.pick(corpus), random),
      ]);
    case 8: // The payload's first bytes.
      for (let at = RTP_HEADER_BYTES; at < packet.length && at < RTP_HEADER_BYTES + 32; at++)
        if (random.chance(10)) packet[at] = random.chance(50) ? random.pick(EDGES) : random.below(256);
      return packet;
    default:
      return mutateBytesOnce(packet, corpus, random);
  }
}

/** The packet with elements of both header forms (RFC 8285), some of them broken. */
function withExtensions(packet: Buffer, random: Random): Buffer {
  const profile = random.pick(PROFILES);
  const elements: Buffer[] = [];
  for (let n = random.below(6); n > 0; n--) {
    const data = random.bytes(random.pick([0, 1, 2, 3, 3, 8, 16, 40]));
    const id = random.below(16);
    const length = random.chance(85) ? data.length : random.below(256);
    elements.push(profile === 0xbede ? Buffer.of((id << 4) | ((length - 1) & 15)) : Buffer.of(id, length & 255), data);
    if (random.chance(20)) elements.push(Buffer.alloc(random.below(4)));
  }
  const block = Buffer.concat(elements);
  const padded = Buffer.concat([block, Buffer.alloc((4 - (block.length % 4)) % 4)]);
  const words = random.chance(90) ? padded.length / 4 : random.pick([0, 1, 255, 0xffff]);
  const head = Buffer.of(profile >> 8, profile & 255, words >> 8, words & 255);
  const header = Buffer.from(packet.subarray(0, RTP_HEADER_BYTES));
  header[0] = 0x90;
  return Buffer.concat([header, head, padded, packet.subarray(RTP_HEADER_BYTES)]);
}

function tailOf(packet: Buffer, random: Random): Buffer {
  return packet.subarray(Math.min(packet.length, RTP_HEADER_BYTES + random.below(packet.length + 1)));
}

/** Wraps a packet as a retransmission (RFC 4588 section 4) of `payloadType` from `ssrc`. */
export function asRetransmission(packet: Buffer, payloadType: number, ssrc: number, sequence: number): Buffer {
  const header = Buffer.from(packet.subarray(0, RTP_HEADER_BYTES));
  header[0] = 0x80;
  header[1] = payloadType;
  header.writeUInt16BE(sequence & 0xffff, 2);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, packet.subarray(2, 4), packet.subarray(RTP_HEADER_BYTES)]);
}

/** The packets of an RTCP datagram, as far as their lengths make sense. */
export function splitRtcp(datagram: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at + 4 <= datagram.length; ) {
    const end = at + 4 * (1 + datagram.readUInt16BE(at + 2));
    parts.push(datagram.subarray(at, Math.min(end, datagram.length)));
    at = end;
  }
  return parts;
}

/** Changes an RTCP datagram: whole packets of it, or their headers, or bytes. */
export function mutateRtcp(datagram: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  const parts: Buffer[] = splitRtcp(datagram).map((part) => Buffer.from(part));
  for (let n = 1 + random.below(3); n > 0; n--) {
    const at = random.below(Math.max(1, parts.length));
    const part = parts[at];
    if (!part || part.length < 4) break;
    switch (random.below(7)) {
      case 0:
        part[0] = (random.chance(80) ? 0x80 : random.below(8) << 5) | random.below(32);
        break;
      case 1:
        part[1] = random.pick(RTCP_TYPES);
        break;
      case 2:
        part.writeUInt16BE(random.pick([0, 1, 2, 6, part.length >> 2, 0x7fff, 0xffff]), 2);
        break;
      case 3:
        parts.splice(at, 1);
        break;
      case 4:
        for (let copies = random.pick([1, 1, 30]); copies > 0; copies--) parts.splice(at, 0, part);
        break;
      case 5:
        parts.splice(at, 0, ...splitRtcp(random.pick(corpus)));
        break;
      default:
        parts[at] = mutateBytesOnce(part, corpus, random);
    }
  }
  return Buffer.concat(parts).subarray(0, MAX_BYTES);
}
