/** One block of a sender or receiver report (RFC 3550 section 6.4.1). */
export interface ReportBlock {
  ssrc: number;
  /** Share lost since the last report, 0-255 for 0-1. */
  fractionLost: number;
  /** Signed 24 bits. */
  packetsLost: number;
  /** Highest sequence number received, with its cycles in the upper 16 bits. */
  highestSequence: number;
  /** In units of the timestamp clock. */
  jitter: number;
  /** Middle 32 bits of the NTP time of the last sender report; 0 without one. */
  lastSenderReport: number;
  /** Since that report arrived, in 1/65536 s. */
  delaySinceLastSenderReport: number;
}

export interface SenderReport {
  type: 'sr';
  ssrc: number;
  /** NTP time, seconds since 1900 and 1/2^32 s. */
  ntpSeconds: number;
  ntpFraction: number;
  rtpTimestamp: number;
  packetCount: number;
  octetCount: number;
  reports: ReportBlock[];
}
interface ReceiverReport {
  type: 'rr';
  ssrc: number;
  reports: ReportBlock[];
}
interface SourceDescription {
  type: 'sdes';
  /** Only CNAME items are kept. */
  chunks: { ssrc: number; cname: string }[];
}
interface Goodbye {
  type: 'bye';
  ssrcs: number[];
}
/** Picture loss indication, RFC 4585 section 6.3.1. */
interface PictureLossIndication {
  type: 'pli';
  senderSsrc: number;
  mediaSsrc: number;
}
/** Full intra request, RFC 5104 section 4.3.1. */
interface FullIntraRequest {
  type: 'fir';
  senderSsrc: number;
  entries: { ssrc: number; sequence: number }[];
}
/** Generic NACK, RFC 4585 section 6.2.1. */
interface NegativeAck {
  type: 'nack';
  senderSsrc: number;
  mediaSsrc: number;
  /** Missing RTP sequence numbers. */
  sequences: number[];
}
/** Receiver estimated maximum bitrate, draft-alvestrand-rmcat-remb-03 section 2.2. */
interface ReceiverBitrate {
  type: 'remb';
  senderSsrc: number;
  bitrateBps: number;
  ssrcs: number[];
}
/** Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1. */
export interface TransportFeedbackPacket {
  type: 'twcc';
  senderSsrc: number;
  mediaSsrc: number;
  /** Transport-wide sequence number of the first status. */
  baseSequence: number;
  /** In units of 64 ms. */
  referenceTime: number;
  feedbackCount: number;
  /** One entry per packet from `baseSequence` on: microseconds since the reference time, or null for not received. */
  arrivalsUs: (number | null)[];
}
/** Anything else, kept so that nothing is silently lost from a count. */
interface OtherRtcp {
  type: 'other';
  packetType: number;
}

export type RtcpPacket =
  | SenderReport
  | ReceiverReport
  | SourceDescription
  | Goodbye
  | PictureLossIndication
  | FullIntraRequest
  | NegativeAck
  | ReceiverBitrate
  | TransportFeedbackPacket
  | OtherRtcp;

/** RTCP packet types (RFC 3550 section 12.1, RFC 4585 section 6.1). */
export const PACKET_TYPE = {
  sr: 200,
  rr: 201,
  sdes: 202,
  bye: 203,
  transportFeedback: 205,
  payloadFeedback: 206,
} as const;
/** Feedback message types of 205 and 206. */
export const FEEDBACK = { nack: 1, transportWide: 15, pli: 1, fir: 4, remb: 15 } as const;
