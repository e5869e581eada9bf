import type { Clock, Logger } from '@orama/core';
import type { SfuConfig, TurnCredentials } from '@orama/protocol';
import type { ChannelCounters } from '../data/channel-counters.ts';
import type { MediaCounters } from '../media/counters.ts';
import type { Connect } from '../rtc/connection.ts';
import type { PortBudget } from '../rtc/port-budget.ts';
import type { StunFront } from '../rtc/stun-front.ts';

/** What every room and peer of one SFU process shares. */
export interface SfuContext {
  config: SfuConfig;
  clock: Clock;
  logger: Logger;
  counters: MediaCounters;
  channels: ChannelCounters;
  ports: PortBudget;
  front: StunFront;
  /** Signs tickets: for the SFU that holds a room which is served here too. */
  controlKey: Buffer;
  /** Makes the peers' connections; undefined for those of libdatachannel. */
  connect: Connect | undefined;
  /** Whether new peers are turned away, so that those who are here keep their quality. */
  isBusy: () => boolean;
  /** New TURN credentials; null where the namespace has no TURN server. */
  issueCredentials: () => TurnCredentials | null;
}
