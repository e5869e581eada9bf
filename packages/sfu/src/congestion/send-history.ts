const FIRST_SIZE = 256;
const MAX_SIZE = 8_192;
/** A packet that is reported later than this is of no use to anybody. */
const KEEP_MS = 2_000;

const NONE = 0;
const IN_FLIGHT = 1;
const LOST = 2;
const ACKNOWLEDGED = 3;

/** What a report about one packet means. */
export type Report = 'unknown' | 'repeated' | 'received' | 'received-late' | 'lost';

/**
 * What was sent to one peer, by transport-wide sequence number, until the peer reports on it. A ring that grows while
 * packets of the last two seconds would be overwritten, and then no more.
 */
export class SendHistory {
  // Made with the first packet: a peer that takes no such numbers needs none.
  #times = new Float64Array(0);
  #sizes = new Uint16Array(0);
  #clusters = new Uint8Array(0);
  #states = new Uint8Array(0);
  /** The ring's size less one: -1 before it is made. */
  #mask = -1;
  /** Unwrapped. */
  #next = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;

  /** How many packets were ever sent. */
  get count(): number {
    return this.#next;
  }

  /** When the last packet was sent; minus infinity before the first. */
  get lastSentMs(): number {
    return this.#lastSentMs;
  }

  /**
   * Notes a packet that is sent now. Allocates nothing, except while the ring still grows.
   * @param cluster the probe it belongs to, 1-255; 0 for none
   * @returns its transport-wide sequence number
   */
  record(bytes: number, nowMs: number, cluster: number): number {
    let slot = this.#next & this.#mask;
    const isInFlight = this.#states[slot] === IN_FLIGHT && nowMs - (this.#times[slot] as number) < KEEP_MS;
    if (this.#mask < 0 || (isInFlight && this.#mask < MAX_SIZE - 1)) {
      this.#grow();
      slot = this.#next & this.#mask;
    }
    this.#times[slot] = nowMs;
    this.#sizes[slot] = bytes;
    this.#clusters[slot] = cluster;
    this.#states[slot] = IN_FLIGHT;
    this.#lastSentMs = nowMs;
    return this.#next++ & 0xffff;
  }

  /** The unwrapped number that a 16-bit one stands for: the nearest to the last that was sent. */
  unwrap(sequence16: number): number {
    const last = this.#next - 1;
    return last + (((sequence16 - last) << 16) >> 16);
  }

  /** Notes what the peer says about one packet: whether it came. */
  report(sequence: number, received: boolean): Report {
    if (sequence < 0 || sequence >= this.#next || this.#next - sequence > this.#mask + 1) return 'unknown';
    const slot = sequence & this.#mask;
    const state = this.#states[slot];
    if (state === NONE) return 'unknown';
    if (state === ACKNOWLEDGED || (state === LOST && !received)) return 'repeated';
    this.#states[slot] = received ? ACKNOWLEDGED : LOST;
    if (!received) return 'lost';
    return state === LOST ? 'received-late' : 'received';
  }

  /**
   * A packet was lost and is sent again under its number: reports about that tell nothing of either from now on.
   * @returns whether its loss was not known yet
   */
  repeat(sequence: number): boolean {
    const report = this.report(sequence, false);
    if (report !== 'unknown') this.#states[sequence & this.#mask] = ACKNOWLEDGED;
    return report === 'lost';
  }

  /** When a packet was sent. The caller has seen it known by `report`. */
  sentMs(sequence: number): number {
    return this.#times[sequence & this.#mask] as number;
  }

  bytes(sequence: number): number {
    return this.#sizes[sequence & this.#mask] as number;
  }

  /** The probe that a packet belonged to, 0 for none. */
  cluster(sequence: number): number {
    return this.#clusters[sequence & this.#mask] as number;
  }

  #grow(): void {
    const size = Math.max(FIRST_SIZE, (this.#mask + 1) * 2);
    const times = new Float64Array(size);
    const sizes = new Uint16Array(size);
    const clusters = new Uint8Array(size);
    const states = new Uint8Array(size);
    for (let sequence = Math.max(0, this.#next - this.#mask - 1); sequence < this.#next; sequence++) {
      const from = sequence & this.#mask;
      const to = sequence & (size - 1);
      times[to] = this.#times[from] as number;
      sizes[to] = this.#sizes[from] as number;
      clusters[to] = this.#clusters[from] as number;
      states[to] = this.#states[from] as number;
    }
    this.#times = times;
    this.#sizes = sizes;
    this.#clusters = clusters;
    this.#states = states;
    this.#mask = size - 1;
  }
}
