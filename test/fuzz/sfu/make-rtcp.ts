import type { Random } from '../../support/random.ts';
import { splitRtcp } from './mutate-media.ts';
import type { Told } from './told.ts';

const FEEDBACK_FORMATS = [0, 1, 2, 4, 5, 15, 31];
const TRANSPORT_FEEDBACK = 205;
const PAYLOAD_FEEDBACK = 206;
const RECEIVER_REPORT = 201;
const NOBODY = 1;

/**
 * One datagram of a client: what a client of the corpus said, or what is sound, about the streams that it gets and sends.
 * @param corpus datagrams
 * @param own SSRCs that the client sends with
 */
export function makeRtcp(corpus: readonly Buffer[], told: Told, own: readonly number[], random: Random): Buffer {
  const sender = random.pick(own) ?? NOBODY;
  if (random.chance(60)) {
    const parts: Buffer[] = [makeSound(told, sender, random)];
    while (random.chance(40)) parts.push(makeSound(told, sender, random));
    return Buffer.concat(parts);
  }
  const parts: Buffer[] = splitRtcp(random.pick(corpus)).map((part) => Buffer.from(part));
  if (random.chance(50)) parts.push(anyFeedback(random));
  for (const part of parts) aim(part, told, own, random);
  return Buffer.concat(parts);
}

/** Makes a recorded packet one of this client about streams of today. */
function aim(part: Buffer, told: Told, own: readonly number[], random: Random): void {
  const type = part[1] ?? 0;
  const [sender, other] = [random.pick(own) ?? NOBODY, random.pick(told.received) ?? NOBODY];
  if (part.length >= 8 && random.chance(90)) part.writeUInt32BE(sender, 4);
  const at = type === 200 ? 28 : 8;
  if (part.length >= at + 4 && random.chance(90)) part.writeUInt32BE(other, at);
  if (type === PAYLOAD_FEEDBACK && part.length >= 24 && random.chance(50)) part.writeUInt32BE(other, 20);
}

/** A report or request as a sound receiver sends it. */
function makeSound(told: Told, sender: number, random: Random): Buffer {
  const ssrc = random.pick(told.received) ?? NOBODY;
  const newest = told.newest.get(ssrc) ?? 0;
  switch (random.below(8)) {
    case 0: // A key frame, PLI (RFC 4585 section 6.3.1).
      return packet(PAYLOAD_FEEDBACK, 1, sender, ssrc);
    case 1: // A key frame, FIR (RFC 5104 section 4.3.1).
      return packet(
        PAYLOAD_FEEDBACK,
        4,
        sender,
        0,
        Buffer.concat([uint32(ssrc), Buffer.of(random.below(256), 0, 0, 0)]),
      );
    case 2: // What the path takes (REMB).
      return packet(PAYLOAD_FEEDBACK, 15, sender, 0, makeRemb(ssrc, random));
    case 3:
      return packet(RECEIVER_REPORT, 1, sender, ssrc, makeReport(newest, random));
    case 4:
    case 5:
      return packet(TRANSPORT_FEEDBACK, 15, sender, ssrc, makeArrivals(told.newestTransport, random));
    default: // Lost packets (RFC 4585 section 6.2.1).
      return packet(TRANSPORT_FEEDBACK, 1, sender, ssrc, makeLost(newest, random));
  }
}

function packet(type: number, format: number, sender: number, about: number, rest: Buffer = Buffer.alloc(0)): Buffer {
  const words = 2 + rest.length / 4;
  return Buffer.concat([Buffer.of(0x80 | format, type, words >> 8, words & 255), uint32(sender), uint32(about), rest]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function makeLost(newest: number, random: Random): Buffer {
  const items = Array.from({ length: 1 + random.below(3) }, () => {
    const first = (newest - random.below(random.pick([2, 8, 8, 60]))) & 0xffff;
    return uint32(((first << 16) | random.pick([0, 0, 1, random.below(0x10000)])) >>> 0);
  });
  return Buffer.concat(items);
}

function makeRemb(ssrc: number, random: Random): Buffer {
  const [exponent, mantissa] = [random.below(12), random.below(0x40000)];
  const rate = Buffer.of(1, (exponent << 2) | (mantissa >> 16), (mantissa >> 8) & 255, mantissa & 255);
  return Buffer.concat([Buffer.from('REMB'), rate, uint32(ssrc)]);
}

/** The rest of a report block (RFC 3550 section 6.4.1), after its SSRC. */
function makeReport(newest: number, random: Random): Buffer {
  const loss = (random.pick([0, 0, 5, 26, 128, 255]) << 24) | random.below(1_000);
  const times = [random.below(5_000), random.below(2 ** 32), random.below(0x20000)];
  return Buffer.concat([loss >>> 0, newest, ...times].map(uint32));
}

/** Transport-wide feedback: symbols of two bits, seven to a chunk (draft-holmer-rmcat-transport-wide-cc section 3.1). */
function makeArrivals(newest: number, random: Random): Buffer {
  const count = 7 * (1 + random.below(10));
  const first = (newest - count + 1 - random.below(20)) & 0xffff;
  const head = Buffer.alloc(8);
  head.writeUInt16BE(first);
  head.writeUInt16BE(count, 2);
  head.writeUIntBE(random.below(0x1000000), 4, 3);
  head[7] = random.below(256);
  const chunks = Buffer.alloc((count / 7) * 2);
  const deltas: number[] = [];
  for (let at = 0; at < chunks.length; at += 2) {
    let chunk = 0xc000;
    for (let place = 12; place >= 0; place -= 2) {
      const symbol = random.pick([0, 1, 1, 1, 1, 1, 1, 2]);
      chunk |= symbol << place;
      if (symbol === 2) deltas.push(random.below(4), random.below(256));
      else if (symbol === 1) deltas.push(random.below(80));
    }
    chunks.writeUInt16BE(chunk, at);
  }
  const body = Buffer.concat([head, chunks, Buffer.from(deltas)]);
  return Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
}

/** A feedback message (RFC 4585, 5104, REMB, transport-wide) of any content. */
function anyFeedback(random: Random): Buffer {
  const words = random.pick([0, 1, 1, 2, 3, 5, 20, 200]);
  const part = Buffer.concat([Buffer.alloc(12), random.bytes(words * 4)]);
  part[0] = 0x80 | random.pick(FEEDBACK_FORMATS);
  part[1] = random.pick([205, 206]);
  part.writeUInt16BE(2 + words, 2);
  if (part.length >= 20 && random.chance(20)) part.write('REMB', 12, 'latin1');
  return part;
}
