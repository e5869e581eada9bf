import { ATTRIBUTE, CLASS, METHOD, messageType, STUN_HEADER_BYTES } from '@orama/turn/stun';
import type { Random } from '../../support/random.ts';
import { EDGE_LENGTHS, EDGES, mutateBytesOnce } from '../mutate-bytes.ts';
import { type Attribute, type LooseMessage, takeApart } from './message.ts';

const MAX_BYTES = 60_000;
const KNOWN_TYPES = Object.values(ATTRIBUTE);
const KNOWN_METHODS = Object.values(METHOD);
const CLASSES = Object.values(CLASS);
/** Changes bytes without looking at what they mean. */
export function mutateBytes(packet: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(packet);
  for (let n = 1 + random.below(4); n > 0; n--) bytes = mutateOnce(bytes, corpus, random);
  const mutant = bytes.subarray(0, MAX_BYTES);
  // A length that fits again, so that what is inside gets looked at.
  if (mutant.length >= STUN_HEADER_BYTES && random.chance(40)) {
    mutant.writeUInt16BE((mutant.length - STUN_HEADER_BYTES) & 0xfffc, 2);
    return mutant.subarray(0, mutant.length & ~3);
  }
  return mutant;
}

function mutateOnce(bytes: Buffer, corpus: readonly Buffer[], random: Random): Buffer {
  if (!random.chance(12)) return mutateBytesOnce(bytes, corpus, random);
  // The length in the header.
  const lengths = [...EDGE_LENGTHS, bytes.length - STUN_HEADER_BYTES, random.below(bytes.length + 1)];
  if (bytes.length >= 4) bytes.writeUInt16BE(random.pick(lengths) & 0xffff, 2);
  return bytes;
}

/** Changes a message attribute by attribute; what comes out can be sealed so that it gets behind authentication. */
export function mutateAttributes(message: LooseMessage, corpus: readonly Buffer[], random: Random): LooseMessage {
  const mutant: LooseMessage = { ...message, attributes: message.attributes.map((attribute) => ({ ...attribute })) };
  for (let n = random.below(4); n > 0; n--) mutateAttributesOnce(mutant, corpus, random);
  // What does not fit into one message falls off.
  while (mutant.attributes.reduce((bytes, { value }) => bytes + 8 + value.length, 0) > MAX_BYTES) {
    mutant.attributes.splice(mutant.attributes.length >> 1);
  }
  return mutant;
}

function mutateAttributesOnce(message: LooseMessage, corpus: readonly Buffer[], random: Random): void {
  const { attributes } = message;
  const at = random.below(Math.max(1, attributes.length));
  const chosen = attributes[at];
  switch (random.below(11)) {
    case 0: // The value, byte by byte.
      if (chosen) chosen.value = mutateValue(chosen.value, random);
      return;
    case 1: // Another length of the value.
      if (chosen) chosen.value = random.bytes(random.pick([0, 1, 3, 4, 5, 7, 8, 9, 12, 19, 20, 21, 64, 800]));
      return;
    case 2: // A length field that lies.
      if (chosen) chosen.saysLength = random.pick([...EDGE_LENGTHS, chosen.value.length + 4, chosen.value.length - 1]);
      return;
    case 3: // Twice, or many times.
      if (chosen) for (let n = random.pick([1, 1, 1, 2, 60]); n > 0; n--) attributes.splice(at, 0, { ...chosen });
      return;
    case 4: // Not at all.
      attributes.splice(at, 1);
      return;
    case 5: // In another order.
      attributes.sort(() => random.below(3) - 1);
      return;
    case 6: // Another type.
      if (chosen) chosen.type = random.chance(70) ? random.pick(KNOWN_TYPES) : random.below(0x10000);
      return;
    case 7: // Attributes of another message.
      attributes.splice(at, 0, ...(takeApart(random.pick(corpus))?.attributes ?? []).slice(random.below(3)));
      return;
    case 8: // Another method or class.
      message.type = messageType(
        random.chance(80) ? random.pick(KNOWN_METHODS) : random.below(0x1000),
        random.chance(80) ? CLASS.request : random.pick(CLASSES),
      );
      return;
    case 9: // Attributes that nobody knows.
      for (let n = random.pick([1, 2, 8, 100]); n > 0; n--) attributes.push(unknownAttribute(random));
      return;
    default: // Numbers at their ends.
      if (chosen) chosen.value = Buffer.alloc(chosen.value.length, random.pick([0, 0xff, 0x7f, 0x80]));
  }
}

function mutateValue(value: Buffer, random: Random): Buffer {
  const changed = Buffer.from(value);
  for (let n = 1 + random.below(3); n > 0 && changed.length > 0; n--) {
    changed[random.below(changed.length)] = random.chance(50) ? random.pick(EDGES) : random.below(256);
  }
  return changed;
}

function unknownAttribute(random: Random): Attribute {
  return { type: random.below(0x10000), value: random.bytes(random.below(9)) };
}
