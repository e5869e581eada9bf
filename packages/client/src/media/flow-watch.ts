/** Polls in a row without hearing anything after which the path counts as dead. */
const SILENT_POLLS = 3;

/**
 * Notices a path that died without a word: a relay that restarted knows nothing of us and drops what we send, and the
 * browser's own ICE checks take many seconds to say so. While we send, a server that is there reports back all the
 * time; so sending on and hearing nothing any more, where something was heard before, means nobody is there.
 *
 * It counts polls, not time, so that a computer that slept does not look like a dead path.
 */
export class FlowWatch {
  #receivedBytes = -1;
  #sentBytes = 0;
  #flowed = 0;
  #silent = 0;

  /** Takes one reading of the totals; true when the path is dead. */
  isDead(receivedBytes: number, sentBytes: number): boolean {
    if (receivedBytes !== this.#receivedBytes) {
      this.#flowed += 1;
      this.#silent = 0;
    } else if (sentBytes > this.#sentBytes) {
      this.#silent += 1;
    }
    this.#receivedBytes = receivedBytes;
    this.#sentBytes = sentBytes;
    return this.isFlowing && this.#silent >= SILENT_POLLS;
  }

  /** Whether something was heard: the first reading always differs, two more make a flow. */
  get isFlowing(): boolean {
    return this.#flowed > 2;
  }
}

/** Totals over every candidate pair of an RTCStatsReport. */
export function pairTotals(report: Iterable<[string, unknown]>): { receivedBytes: number; sentBytes: number } {
  const totals = { receivedBytes: 0, sentBytes: 0 };
  for (const [, entry] of report) {
    const { type, bytesReceived, bytesSent } = entry as { type: string; bytesReceived?: number; bytesSent?: number };
    if (type !== 'candidate-pair') continue;
    totals.receivedBytes += bytesReceived ?? 0;
    totals.sentBytes += bytesSent ?? 0;
  }
  return totals;
}
