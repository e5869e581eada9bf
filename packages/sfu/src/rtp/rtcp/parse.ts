import { readUint16, readUint32 } from '../header.ts';
import { FEEDBACK, PACKET_TYPE, type ReportBlock, type RtcpPacket } from './packets.ts';
import { MAX_STATUSES, parseTransportFeedback } from './transport-feedback.ts';

const REPORT_BLOCK_BYTES = 24;
const REMB_MARK = 0x52454d42; // "REMB"
const CNAME_ITEM = 1;

/**
 * Takes a compound (RFC 3550 section 6.1) or reduced-size (RFC 5506) RTCP datagram apart.
 * Total: a malformed packet ends the list, what stood before it is returned.
 * @param withTransportFeedback false leaves transport-wide feedback, which is of no m-line in particular, as `other`
 */
export function parseRtcp(datagram: Uint8Array, withTransportFeedback = true): RtcpPacket[] {
  const packets: RtcpPacket[] = [];
  let statusesLeft = MAX_STATUSES;
  let offset = 0;
  while (offset + 4 <= datagram.length) {
    const first = datagram[offset] as number;
    const end = offset + (readUint16(datagram, offset + 2) + 1) * 4;
    if (first >> 6 !== 2 || end > datagram.length) break;
    const padding = first & 32 ? (datagram[end - 1] as number) : 0;
    if (padding > end - offset - 4) break;
    const packetType = datagram[offset + 1] as number;
    const isLeft = !withTransportFeedback && isTransportFeedback(packetType, first & 31);
    const packet: RtcpPacket | null = isLeft
      ? { type: 'other', packetType }
      : parseOne(datagram, packetType, first & 31, offset, end - padding);
    if (packet?.type === 'twcc') statusesLeft -= packet.arrivalsUs.length;
    if (!packet || statusesLeft < 0) break;
    packets.push(packet);
    offset = end;
  }
  return packets;
}

function parseOne(bytes: Uint8Array, packetType: number, count: number, start: number, end: number): RtcpPacket | null {
  switch (packetType) {
    case PACKET_TYPE.sr: {
      const reports = parseReports(bytes, count, start + 28, end);
      if (!reports) return null;
      return {
        type: 'sr',
        ssrc: readUint32(bytes, start + 4),
        ntpSeconds: readUint32(bytes, start + 8),
        ntpFraction: readUint32(bytes, start + 12),
        rtpTimestamp: readUint32(bytes, start + 16),
        packetCount: readUint32(bytes, start + 20),
        octetCount: readUint32(bytes, start + 24),
        reports,
      };
    }
    case PACKET_TYPE.rr: {
      const reports = parseReports(bytes, count, start + 8, end);
      return reports && { type: 'rr', ssrc: readUint32(bytes, start + 4), reports };
    }
    case PACKET_TYPE.sdes:
      return parseSdes(bytes, count, start + 4, end);
    case PACKET_TYPE.bye: {
      if (start + 4 + count * 4 > end) return null;
      return { type: 'bye', ssrcs: readSsrcs(bytes, start + 4, count) };
    }
    case PACKET_TYPE.transportFeedback:
    case PACKET_TYPE.payloadFeedback:
      return parseFeedback(bytes, packetType, count, start, end);
    default:
      return { type: 'other', packetType };
  }
}

function isTransportFeedback(packetType: number, format: number): boolean {
  return packetType === PACKET_TYPE.transportFeedback && format === FEEDBACK.transportWide;
}

function parseReports(bytes: Uint8Array, count: number, start: number, end: number): ReportBlock[] | null {
  if (start + count * REPORT_BLOCK_BYTES > end) return null;
  const reports: ReportBlock[] = [];
  for (let i = 0; i < count; i++) {
    const at = start + i * REPORT_BLOCK_BYTES;
    const lost = readUint32(bytes, at + 4);
    reports.push({
      ssrc: readUint32(bytes, at),
      fractionLost: lost >>> 24,
      packetsLost: (lost << 8) >> 8,
      highestSequence: readUint32(bytes, at + 8),
      jitter: readUint32(bytes, at + 12),
      lastSenderReport: readUint32(bytes, at + 16),
      delaySinceLastSenderReport: readUint32(bytes, at + 20),
    });
  }
  return reports;
}

// RFC 3550 section 6.5: chunks of items, each chunk ended by a null octet and padded to 32 bits.
function parseSdes(bytes: Uint8Array, count: number, start: number, end: number): RtcpPacket | null {
  const chunks: { ssrc: number; cname: string }[] = [];
  let offset = start;
  for (let i = 0; i < count; i++) {
    if (offset + 4 > end) return null;
    const ssrc = readUint32(bytes, offset);
    let cname = '';
    let at = offset + 4;
    for (;;) {
      const item = at < end ? (bytes[at] as number) : 0;
      if (item === 0) break;
      const length = bytes[at + 1];
      if (length === undefined || at + 2 + length > end) return null;
      if (item === CNAME_ITEM) cname = Buffer.from(bytes.subarray(at + 2, at + 2 + length)).toString('utf8');
      at += 2 + length;
    }
    chunks.push({ ssrc, cname });
    offset += Math.ceil((at + 1 - offset) / 4) * 4;
  }
  return { type: 'sdes', chunks };
}

function parseFeedback(
  bytes: Uint8Array,
  packetType: number,
  format: number,
  start: number,
  end: number,
): RtcpPacket | null {
  if (start + 12 > end) return null;
  const senderSsrc = readUint32(bytes, start + 4);
  const mediaSsrc = readUint32(bytes, start + 8);
  const body = start + 12;
  if (packetType === PACKET_TYPE.transportFeedback) {
    if (format === FEEDBACK.nack)
      return { type: 'nack', senderSsrc, mediaSsrc, sequences: readNacks(bytes, body, end) };
    if (format === FEEDBACK.transportWide) return parseTransportFeedback(bytes, start, end);
    return { type: 'other', packetType };
  }
  if (format === FEEDBACK.pli) return { type: 'pli', senderSsrc, mediaSsrc };
  if (format === FEEDBACK.fir) {
    const entries: { ssrc: number; sequence: number }[] = [];
    for (let at = body; at + 8 <= end; at += 8)
      entries.push({ ssrc: readUint32(bytes, at), sequence: bytes[at + 4] as number });
    return { type: 'fir', senderSsrc, entries };
  }
  if (format === FEEDBACK.remb && body + 8 <= end && readUint32(bytes, body) === REMB_MARK) {
    const count = bytes[body + 4] as number;
    if (body + 8 + count * 4 > end) return null;
    const packed = readUint32(bytes, body + 4) & 0xffffff;
    const bitrateBps = (packed & 0x3ffff) * 2 ** (packed >> 18);
    return { type: 'remb', senderSsrc, bitrateBps, ssrcs: readSsrcs(bytes, body + 8, count) };
  }
  return { type: 'other', packetType };
}

function readNacks(bytes: Uint8Array, start: number, end: number): number[] {
  const sequences: number[] = [];
  for (let at = start; at + 4 <= end; at += 4) {
    const packetId = readUint16(bytes, at);
    const following = readUint16(bytes, at + 2);
    sequences.push(packetId);
    for (let bit = 0; bit < 16; bit++) if (following & (1 << bit)) sequences.push((packetId + bit + 1) & 0xffff);
  }
  return sequences;
}

function readSsrcs(bytes: Uint8Array, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => readUint32(bytes, start + i * 4));
}
