/** Counts of one SFU process; plain numbers, because they rise with every packet. */
export class MediaCounters {
  packetsIn = 0;
  bytesIn = 0;
  packetsOut = 0;
  bytesOut = 0;
  sendFailures = 0;
  malformed = 0;
  retransmitted = 0;
  nacksIn = 0;
  nacksOut = 0;
  keyFrameRequestsIn = 0;
  keyFrameRequestsOut = 0;
  /** Attempts to find out whether a subscriber's path takes more, and those that found it does. */
  probes = 0;
  probesSucceeded = 0;
  paddingBytesOut = 0;
}
