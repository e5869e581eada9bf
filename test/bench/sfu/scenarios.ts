/** Whole RTP packets. */
export const PACKET_BYTES = 1200;

/** Rooms that are alike, in each of which everybody who watches sees everybody who sends. */
export interface Scenario {
  /** Its row in the tables. */
  readonly name: string;
  readonly rooms: number;
  /** In each room. */
  readonly publishers: number;
  readonly subscribers: number;
  /** Packets a second out of all rooms together, where processor time is counted. */
  readonly outRate: number;
}

/** The search for what is carried ends here. */
export const MOST_OUT = 200_000;

/**
 * Where few watch a publisher there are several rooms, as few as keep what one subscriber is sent below 50 Mbit/s even with
 * `MOST_OUT` packets/s: our SFU sends nobody more, and no real subscriber takes it.
 */
export const SCENARIOS: readonly Scenario[] = [
  { name: '1 to 1', rooms: 40, publishers: 1, subscribers: 1, outRate: 20_000 },
  { name: '1 to 5', rooms: 8, publishers: 1, subscribers: 5, outRate: 40_000 },
  { name: '1 to 20', rooms: 2, publishers: 1, subscribers: 20, outRate: 40_000 },
  { name: '1 to 50', rooms: 1, publishers: 1, subscribers: 50, outRate: 40_000 },
  { name: '1 to 200', rooms: 1, publishers: 1, subscribers: 200, outRate: 40_000 },
  { name: '20 to 20', rooms: 2, publishers: 20, subscribers: 20, outRate: 40_000 },
];

/** What each subscriber is sent when `outRate` packets/s go out, in Mbit/s. */
export function mbitsEach({ rooms, subscribers }: Scenario, outRate: number): number {
  return (outRate * PACKET_BYTES * 8) / (rooms * subscribers) / 1e6;
}
