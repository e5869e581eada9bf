import { sequenceDistance, writeUint16, writeUint32 } from '../header.ts';
import { FEEDBACK, PACKET_TYPE, type ReportBlock, type SenderReport } from './packets.ts';

const REPORT_BLOCK_BYTES = 24;

function start(packetType: number, count: number, bytes: number): Buffer {
  const packet = Buffer.alloc(bytes);
  packet[0] = 0x80 | count;
  packet[1] = packetType;
  writeUint16(packet, 2, bytes / 4 - 1);
  return packet;
}

function writeReports(packet: Buffer, offset: number, reports: readonly ReportBlock[]): void {
  reports.forEach((report, i) => {
    const at = offset + i * REPORT_BLOCK_BYTES;
    writeUint32(packet, at, report.ssrc);
    writeUint32(packet, at + 4, (report.packetsLost & 0xffffff) | (report.fractionLost << 24));
    writeUint32(packet, at + 8, report.highestSequence);
    writeUint32(packet, at + 12, report.jitter);
    writeUint32(packet, at + 16, report.lastSenderReport);
    writeUint32(packet, at + 20, report.delaySinceLastSenderReport);
  });
}

/** RFC 3550 section 6.4.1; at most 31 report blocks. */
export function buildSenderReport(report: Omit<SenderReport, 'type'>): Buffer {
  const packet = start(PACKET_TYPE.sr, report.reports.length, 28 + report.reports.length * REPORT_BLOCK_BYTES);
  writeUint32(packet, 4, report.ssrc);
  writeUint32(packet, 8, report.ntpSeconds);
  writeUint32(packet, 12, report.ntpFraction);
  writeUint32(packet, 16, report.rtpTimestamp);
  writeUint32(packet, 20, report.packetCount);
  writeUint32(packet, 24, report.octetCount);
  writeReports(packet, 28, report.reports);
  return packet;
}

/** RFC 3550 section 6.4.2; at most 31 report blocks. */
export function buildReceiverReport(ssrc: number, reports: readonly ReportBlock[]): Buffer {
  const packet = start(PACKET_TYPE.rr, reports.length, 8 + reports.length * REPORT_BLOCK_BYTES);
  writeUint32(packet, 4, ssrc);
  writeReports(packet, 8, reports);
  return packet;
}

/** RFC 3550 section 6.5 with one CNAME; the name is cut at 255 bytes. */
export function buildSdes(ssrc: number, cname: string): Buffer {
  const name = Buffer.from(cname, 'utf8').subarray(0, 255);
  const chunkBytes = Math.ceil((4 + 2 + name.length + 1) / 4) * 4;
  const packet = start(PACKET_TYPE.sdes, 1, 4 + chunkBytes);
  writeUint32(packet, 4, ssrc);
  packet[8] = 1;
  packet[9] = name.length;
  name.copy(packet, 10);
  return packet;
}

/** RFC 3550 section 6.6 without a reason. */
export function buildBye(ssrcs: readonly number[]): Buffer {
  const packet = start(PACKET_TYPE.bye, ssrcs.length, 4 + ssrcs.length * 4);
  ssrcs.forEach((ssrc, i) => void writeUint32(packet, 4 + i * 4, ssrc));
  return packet;
}

function startFeedback(
  packetType: number,
  format: number,
  senderSsrc: number,
  mediaSsrc: number,
  bodyBytes: number,
): Buffer {
  const packet = start(packetType, format, 12 + bodyBytes);
  writeUint32(packet, 4, senderSsrc);
  writeUint32(packet, 8, mediaSsrc);
  return packet;
}

/** RFC 4585 section 6.3.1. */
export function buildPli(senderSsrc: number, mediaSsrc: number): Buffer {
  return startFeedback(PACKET_TYPE.payloadFeedback, FEEDBACK.pli, senderSsrc, mediaSsrc, 0);
}

/** RFC 5104 section 4.3.1; `sequence` rises by one with every new request. */
export function buildFir(senderSsrc: number, mediaSsrc: number, sequence: number): Buffer {
  const packet = startFeedback(PACKET_TYPE.payloadFeedback, FEEDBACK.fir, senderSsrc, 0, 8);
  writeUint32(packet, 12, mediaSsrc);
  packet[16] = sequence & 255;
  return packet;
}

/** RFC 4585 section 6.2.1. `sequences` in rising order (modulo 65536), so that neighbours share an entry. */
export function buildNack(senderSsrc: number, mediaSsrc: number, sequences: readonly number[]): Buffer {
  const entries: { packetId: number; following: number }[] = [];
  let last: { packetId: number; following: number } | undefined;
  for (const sequence of sequences) {
    const ahead = last ? sequenceDistance(last.packetId, sequence) : 0;
    if (last && ahead >= 1 && ahead <= 16) last.following |= 1 << (ahead - 1);
    else if (!last || ahead !== 0) {
      last = { packetId: sequence, following: 0 };
      entries.push(last);
    }
  }
  const packet = startFeedback(PACKET_TYPE.transportFeedback, FEEDBACK.nack, senderSsrc, mediaSsrc, entries.length * 4);
  entries.forEach(({ packetId, following }, i) => {
    writeUint16(packet, 12 + i * 4, packetId);
    writeUint16(packet, 14 + i * 4, following);
  });
  return packet;
}

/** draft-alvestrand-rmcat-remb-03 section 2.2. */
export function buildRemb(senderSsrc: number, bitrateBps: number, ssrcs: readonly number[]): Buffer {
  let mantissa = Math.max(0, Math.floor(bitrateBps));
  let exponent = 0;
  while (mantissa > 0x3ffff) {
    mantissa = Math.floor(mantissa / 2);
    exponent++;
  }
  const packet = startFeedback(PACKET_TYPE.payloadFeedback, FEEDBACK.remb, senderSsrc, 0, 8 + ssrcs.length * 4);
  packet.write('REMB', 12, 'latin1');
  writeUint32(packet, 16, ((ssrcs.length << 24) | (exponent << 18) | mantissa) >>> 0);
  ssrcs.forEach((ssrc, i) => void writeUint32(packet, 20 + i * 4, ssrc));
  return packet;
}
