/** What data channels of one SFU process did. */
export class ChannelCounters {
  /** Channels that peers have open, and copies of them to others. */
  opened = 0;
  legs = 0;
  messagesIn = 0;
  bytesIn = 0;
  messagesOut = 0;
  bytesOut = 0;
  /** Messages of unreliable channels that were not sent on: over a rate, or for a receiver that is behind. */
  dropped = 0;
  /** Channels that were refused or ended because of a limit. */
  refused = 0;
}
