import { readUint16, readUint32, writeUint16, writeUint32 } from '../header.ts';
import { FEEDBACK, PACKET_TYPE, type TransportFeedbackPacket } from './packets.ts';

const DELTA_US = 250;
const REFERENCE_US = 64_000;
const NOT_RECEIVED = 0;
const SMALL_DELTA = 1;
const LARGE_DELTA = 2;
/**
 * A packet of some twenty bytes can claim 65535 statuses, and a datagram holds many; no peer waits for so many packets
 * with its report.
 */
export const MAX_STATUSES = 8_192;

/**
 * Parses draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1; null when malformed, or when it is about more
 * packets than anybody sends between two reports. `start` is the RTCP header.
 */
export function parseTransportFeedback(bytes: Uint8Array, start: number, end: number): TransportFeedbackPacket | null {
  if (start + 20 > end) return null;
  const statusCount = readUint16(bytes, start + 14);
  if (statusCount > MAX_STATUSES) return null;
  const timeAndCount = readUint32(bytes, start + 16);
  const symbols: number[] = [];
  let at = start + 20;
  while (symbols.length < statusCount) {
    if (at + 2 > end) return null;
    const chunk = readUint16(bytes, at);
    at += 2;
    if (chunk < 0x8000) {
      const symbol = chunk >> 13;
      for (let run = chunk & 0x1fff; run > 0 && symbols.length < statusCount; run--) symbols.push(symbol);
    } else {
      const bits = chunk & 0x4000 ? 2 : 1;
      for (let shift = 14 - bits; shift >= 0 && symbols.length < statusCount; shift -= bits)
        symbols.push((chunk >> shift) & (bits === 2 ? 3 : 1));
    }
  }
  const arrivalsUs: (number | null)[] = [];
  let timeUs = 0;
  for (const symbol of symbols) {
    if (symbol === SMALL_DELTA) {
      if (at + 1 > end) return null;
      timeUs += (bytes[at++] as number) * DELTA_US;
    } else if (symbol === LARGE_DELTA) {
      if (at + 2 > end) return null;
      timeUs += ((readUint16(bytes, at) << 16) >> 16) * DELTA_US;
      at += 2;
    }
    arrivalsUs.push(symbol === SMALL_DELTA || symbol === LARGE_DELTA ? timeUs : null);
  }
  return {
    type: 'twcc',
    senderSsrc: readUint32(bytes, start + 4),
    mediaSsrc: readUint32(bytes, start + 8),
    baseSequence: readUint16(bytes, start + 12),
    referenceTime: timeAndCount >>> 8,
    feedbackCount: timeAndCount & 255,
    arrivalsUs,
  };
}

export interface TransportFeedbackInput {
  senderSsrc: number;
  mediaSsrc: number;
  baseSequence: number;
  feedbackCount: number;
  /** Arrival times on any clock, in microseconds, by packet from `baseSequence` on; null for not received. */
  arrivalsUs: readonly (number | null)[];
}

/**
 * Builds a feedback packet. Arrivals further than 8 s from their predecessor do not fit a delta:
 * the packet ends before them.
 * @returns the packet and how many statuses it covers
 */
export function buildTransportFeedback(input: TransportFeedbackInput): { packet: Buffer; covered: number } {
  const first = input.arrivalsUs.find((arrival) => arrival !== null) ?? 0;
  const referenceTime = Math.floor(first / REFERENCE_US);
  let previousTicks = referenceTime * (REFERENCE_US / DELTA_US);
  const symbols: number[] = [];
  const deltas: number[] = [];
  for (const arrivalUs of input.arrivalsUs) {
    if (arrivalUs === null) {
      symbols.push(NOT_RECEIVED);
      continue;
    }
    const ticks = Math.floor(arrivalUs / DELTA_US);
    const delta = ticks - previousTicks;
    if (delta < -0x8000 || delta > 0x7fff) break;
    previousTicks = ticks;
    if (delta >= 0 && delta <= 255) {
      symbols.push(SMALL_DELTA);
      deltas.push(delta);
    } else {
      symbols.push(LARGE_DELTA);
      deltas.push((delta >> 8) & 255, delta & 255);
    }
  }
  const chunks = packSymbols(symbols);
  const bytes = Math.ceil((20 + chunks.length * 2 + deltas.length) / 4) * 4;
  const packet = Buffer.alloc(bytes);
  packet[0] = 0x80 | FEEDBACK.transportWide;
  packet[1] = PACKET_TYPE.transportFeedback;
  writeUint16(packet, 2, bytes / 4 - 1);
  writeUint32(packet, 4, input.senderSsrc);
  writeUint32(packet, 8, input.mediaSsrc);
  writeUint16(packet, 12, input.baseSequence);
  writeUint16(packet, 14, symbols.length);
  writeUint32(packet, 16, (((referenceTime & 0xffffff) << 8) | (input.feedbackCount & 255)) >>> 0);
  chunks.forEach((chunk, i) => void writeUint16(packet, 20 + i * 2, chunk));
  Buffer.from(deltas).copy(packet, 20 + chunks.length * 2);
  return { packet, covered: symbols.length };
}

// A run of seven or more equal symbols takes a run-length chunk, anything else a vector of seven two-bit symbols.
function packSymbols(symbols: readonly number[]): number[] {
  const chunks: number[] = [];
  let at = 0;
  while (at < symbols.length) {
    const symbol = symbols[at] as number;
    let run = 1;
    while (run < 0x1fff && symbols[at + run] === symbol) run++;
    if (run >= 7) {
      chunks.push((symbol << 13) | run);
      at += run;
      continue;
    }
    let chunk = 0xc000;
    for (let i = 0; i < 7; i++) chunk |= (symbols[at + i] ?? NOT_RECEIVED) << (12 - 2 * i);
    chunks.push(chunk);
    at += 7;
  }
  return chunks;
}
