/** Polls in a row without hearing anything after which the path counts as dead. */
const SILENT_POLLS = 3;
/** Polls that heard something after which a path is known to carry. */
const FLOWING_POLLS = 2;
/** Reports come once a second, and some are lost: so many polls in a row without one, and what we send does not arrive. */
const UNREPORTED_POLLS = 3;

/** What an RTCStatsReport says of the flow. */
export interface FlowReading {
  /** Over every candidate pair. */
  receivedBytes: number;
  sentBytes: number;
  /** Whether RTP was sent or received at all: before that nobody owes us a word. */
  hasMedia: boolean;
  /** RTP packets, over every stream of ours. */
  sentPackets: number;
  /** Receiver reports about them that told a round trip; the server makes one only of what came since the last. */
  reports: number;
}

/** What the flow proves about a path: that we are heard as well, that we hear, or nothing. */
export type Proof = 'both-ways' | 'inwards' | 'none';

/**
 * Notices a path that died without a word: a relay that restarted knows nothing of us and drops what we send. The
 * browser's own ICE checks take many seconds to say so, and do not when it has another relay at hand: they succeed there,
 * while the server goes on sending to the one that is gone. While we send, a server that is there reports back all the
 * time; so sending on and hearing nothing, once there was media, means that what it sends does not reach us.
 *
 * It counts polls, not time, so that a computer that slept does not look like a dead path.
 */
export class FlowWatch {
  #last: FlowReading | undefined;
  #heard = 0;
  #silent = 0;
  /** Polls since a report came, in which something was sent; endless before the first. */
  #unreported = Number.POSITIVE_INFINITY;
  #isSending = false;

  /** Takes one reading; true when the path is dead. */
  isDead(reading: FlowReading): boolean {
    const last = this.#last;
    this.#last = reading;
    if (!last) return false;
    this.#isSending = reading.sentPackets > last.sentPackets;
    if (reading.reports > last.reports) this.#unreported = 0;
    else if (this.#isSending) this.#unreported += 1;
    // Less than before: a pair that is no more took its count along.
    if (reading.receivedBytes > last.receivedBytes) {
      this.#heard += 1;
      this.#silent = 0;
    } else if (reading.sentBytes > last.sentBytes && reading.hasMedia) {
      this.#silent += 1;
    }
    return this.#silent >= SILENT_POLLS;
  }

  /** Whether it heard enough to say that the path carries. */
  get isFlowing(): boolean {
    return this.#heard >= FLOWING_POLLS;
  }

  /** What the last readings prove. Who sends nothing cannot know whether it would arrive. */
  get proof(): Proof {
    if (this.#heard === 0 || this.#silent > 0) return 'none';
    if (this.#unreported < UNREPORTED_POLLS) return 'both-ways';
    return this.#isSending ? 'none' : 'inwards';
  }
}

/** The members of RTCStats dictionaries that are read here; a browser may leave out any of them. */
interface Counts {
  type: string;
  bytesReceived?: number;
  bytesSent?: number;
  packetsReceived?: number;
  packetsSent?: number;
  roundTripTimeMeasurements?: number;
}

/** Reads an RTCStatsReport. */
export function readFlow(report: Iterable<[string, unknown]>): FlowReading {
  const reading = { receivedBytes: 0, sentBytes: 0, hasMedia: false, sentPackets: 0, reports: 0 };
  for (const [, entry] of report) {
    const { type, bytesReceived = 0, bytesSent = 0, packetsReceived = 0, packetsSent = 0, ...counts } = entry as Counts;
    if (type === 'candidate-pair') {
      reading.receivedBytes += bytesReceived;
      reading.sentBytes += bytesSent;
    } else if (type === 'inbound-rtp' || type === 'outbound-rtp') {
      reading.hasMedia ||= packetsReceived + packetsSent > 0;
      reading.sentPackets += packetsSent;
    } else if (type === 'remote-inbound-rtp') {
      reading.reports += counts.roundTripTimeMeasurements ?? 0;
    }
  }
  return reading;
}
