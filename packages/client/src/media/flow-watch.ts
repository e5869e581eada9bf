/** Polls in a row without hearing anything after which the path counts as dead. */
const SILENT_POLLS = 3;
/** Polls that heard something after which a path is known to carry. */
const FLOWING_POLLS = 2;

/** What an RTCStatsReport says of the flow. */
export interface FlowReading {
  /** Over every candidate pair. */
  receivedBytes: number;
  sentBytes: number;
  /** Whether RTP was sent or received at all: before that nobody owes us a word. */
  hasMedia: boolean;
}

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

  /** Takes one reading; true when the path is dead. */
  isDead(reading: FlowReading): boolean {
    const last = this.#last;
    this.#last = reading;
    if (!last) return false;
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
}

/** The members of RTCStats dictionaries that are read here; a browser may leave out any of them. */
interface Counts {
  type: string;
  bytesReceived?: number;
  bytesSent?: number;
  packetsReceived?: number;
  packetsSent?: number;
}

/** Reads an RTCStatsReport. */
export function readFlow(report: Iterable<[string, unknown]>): FlowReading {
  const reading = { receivedBytes: 0, sentBytes: 0, hasMedia: false };
  for (const [, entry] of report) {
    const { type, bytesReceived = 0, bytesSent = 0, packetsReceived = 0, packetsSent = 0 } = entry as Counts;
    if (type === 'candidate-pair') {
      reading.receivedBytes += bytesReceived;
      reading.sentBytes += bytesSent;
    } else if (type === 'inbound-rtp' || type === 'outbound-rtp') {
      reading.hasMedia ||= packetsReceived + packetsSent > 0;
    }
  }
  return reading;
}
