/** How far above the estimate a probe goes; further at first, when that is only a guess, and after one that succeeded. */
const STEP = 1.5;
const WIDE_STEP = 2;
/** And at least so far: less would take too long to tell. */
const LEAST_STEP = 1.15;
/**
 * Long enough to empty the token bucket of a shaper; and only the second half is measured, when it is empty. A queue that
 * grows or packets that are lost end it earlier.
 */
const MIN_DURATION_MS = 400;
const MAX_DURATION_MS = 1_000;
const BUCKET_BYTES = 6_000;
const QUEUE_MS = 50;
const LOST_SHARE = 0.2;
/** Less than this cannot be measured, more need not be sent. */
const MIN_PACKETS = 10;
const MAX_PACKETS = 1_000;
/** A probe that could not be sent in so many times its duration is given up: the sender was not called in time. */
const GIVE_UP_FACTOR = 2;
/** Reports may be this late, beyond the round trip. */
const REPORT_MS = 500;
/** A peer that got so little of what was sent took all it could. */
const SATURATED = 0.9;
/** Of a saturated path's throughput this much is used. */
const BELOW_SATURATION = 0.95;
/** A burst that arrives much faster than it was sent was held up and says nothing. */
const MAX_COMPRESSION = 2;
/** Reports about so many later packets mean that those that are missing will not come. */
const REORDERED = 10;
/** With more of a probe unreported than this, nothing is learnt: reports were lost, not packets. */
const UNREPORTED_SHARE = 0.1;
/** A probe that reached this much of its aim is followed by the next step at once. */
const GO_ON = 0.85;
/** The rate had to go down so soon after a probe: it was wrong. */
const DISAPPOINTED_MS = 5_000;
/** Wait after the path took no more: at first, and at most. It rises by half each time. */
const FIRST_WAIT_MS = 2_000;
/** Wait after a probe that came to less than it should, because too little or too unevenly was sent. */
const RETRY_MS = 500;
const MAX_WAIT_MS = 3_000;
const MAX_CLUSTER = 255;

/** What a finished probe shows. */
export interface ProbeResult {
  /** What the path takes, at least. */
  bps: number;
  /** The path took no more than that. */
  saturated: boolean;
}

/** What a prober goes by. */
export interface ProbeAim {
  /** The estimate. */
  targetBps: number;
  /** What everything that is wanted would take. */
  wantedBps: number;
  rttMs: number;
  /** The path shows signs of congestion, or did a moment ago. */
  congested: boolean;
}

/**
 * Finds out whether a path takes more than what is sent: for half a second or so everything sent, filled up with
 * padding, comes to a higher rate, and the arrival times tell what got through. Nothing is probed that nobody wants.
 */
export class Prober {
  /** Probes begun, and those that got through what they sent. */
  begun = 0;
  succeeded = 0;
  #cluster = 0;
  #state: 'idle' | 'sending' | 'waiting' = 'idle';
  #aimBps = 0;
  #startMs = 0;
  #durationMs = 0;
  #firstSequence = 0;
  #totalBytes = 0;
  /** Of packets on which no report will come. */
  #unnumberedBytes = 0;
  /** By packet: bytes, when it was sent, when it arrived (NaN for not). */
  readonly #bytes: number[] = [];
  readonly #sentMs: number[] = [];
  readonly #arrivedMs: number[] = [];
  #reported = 0;
  #lost = 0;
  #leastDelayMs = 0;
  #waitMs = FIRST_WAIT_MS;
  #nextMs = 0;
  #succeededMs = Number.NEGATIVE_INFINITY;
  #isWide = true;

  /** The probe that packets sent now belong to, 1-255; 0 for none. */
  get cluster(): number {
    return this.#state === 'sending' ? this.#cluster : 0;
  }

  /** Whether packets of a probe are on their way, or were a moment ago: their delay says nothing about other packets. */
  get isUnderWay(): boolean {
    return this.#state !== 'idle';
  }

  /** Begins a probe when one is due. @returns whether it did */
  tick(aim: ProbeAim, nowMs: number): boolean {
    if (this.#state === 'sending') this.#checkSending(nowMs);
    if (this.#state === 'waiting' && nowMs - (this.#sentMs.at(-1) as number) > REPORT_MS + aim.rttMs) this.#fail(nowMs);
    if (this.#state !== 'idle' || nowMs < this.#nextMs) return false;
    if (aim.congested || aim.wantedBps <= aim.targetBps) return false;
    const step = aim.wantedBps / aim.targetBps;
    this.#aimBps = aim.targetBps * Math.min(this.#isWide ? WIDE_STEP : STEP, Math.max(LEAST_STEP, step));
    const excessBps = this.#aimBps - aim.targetBps;
    this.#durationMs = Math.min(MAX_DURATION_MS, Math.max(MIN_DURATION_MS, (BUCKET_BYTES * 8_000) / excessBps));
    this.#cluster = this.#cluster === MAX_CLUSTER ? 1 : this.#cluster + 1;
    this.#state = 'sending';
    this.#startMs = nowMs;
    this.#bytes.length = this.#sentMs.length = this.#arrivedMs.length = 0;
    this.#totalBytes = this.#unnumberedBytes = this.#reported = this.#lost = 0;
    this.#leastDelayMs = Number.POSITIVE_INFINITY;
    this.begun++;
    return true;
  }

  /** Bytes of padding to send now, so that the probe keeps its rate; 0 when nothing is due. */
  due(nowMs: number): number {
    if (this.#state !== 'sending') return 0;
    const elapsedMs = Math.min(this.#durationMs, nowMs - this.#startMs);
    const sentBytes = this.#totalBytes + this.#unnumberedBytes;
    return Math.max(0, Math.ceil((this.#aimBps * elapsedMs) / 8_000 - sentBytes));
  }

  /** Counts a packet that is sent while the probe goes on, padding or not. @param sequence unwrapped */
  sent(sequence: number, bytes: number, nowMs: number): void {
    if (this.#state !== 'sending') return;
    if (this.#bytes.length === 0) this.#firstSequence = sequence;
    this.#bytes.push(bytes);
    this.#sentMs.push(nowMs);
    this.#arrivedMs.push(Number.NaN);
    this.#totalBytes += bytes;
    this.#checkSending(nowMs);
  }

  /** Counts a packet without a transport-wide number that is sent while the probe goes on. */
  sentUnnumbered(bytes: number, nowMs: number): void {
    if (this.#state !== 'sending') return;
    this.#unnumberedBytes += bytes;
    this.#checkSending(nowMs);
  }

  /** Takes the report about one packet of probe `cluster`; `arrivedMs` is NaN for a lost one. */
  report(cluster: number, sequence: number, arrivedMs: number, nowMs: number): void {
    const index = sequence - this.#firstSequence;
    if (cluster !== this.#cluster || this.#state === 'idle' || index < 0 || index >= this.#bytes.length) return;
    this.#reported++;
    this.#arrivedMs[index] = arrivedMs;
    if (Number.isNaN(arrivedMs)) {
      this.#lost++;
      if (this.#reported >= MIN_PACKETS && this.#lost > this.#reported * LOST_SHARE) this.interrupt(nowMs);
      return;
    }
    const delayMs = arrivedMs - (this.#sentMs[index] as number);
    if (delayMs < this.#leastDelayMs) this.#leastDelayMs = delayMs;
    if (delayMs - this.#leastDelayMs > QUEUE_MS) this.interrupt(nowMs);
  }

  /** The queue grows: nothing more is sent for this probe; what was sent still tells. */
  interrupt(nowMs: number): void {
    if (this.#state === 'sending') this.#stopSending(nowMs);
  }

  /** The rate had to go down: a probe that found more a moment ago was wrong. */
  disappoint(nowMs: number): void {
    this.#isWide = false;
    if (nowMs - this.#succeededMs < DISAPPOINTED_MS) this.#wait(nowMs);
    this.#succeededMs = Number.NEGATIVE_INFINITY;
  }

  /**
   * The result, once every packet is reported on; null before, and for a probe that showed nothing.
   * @param newest the last packet that was reported on
   * @param ownLoss the share of packets that the path loses however little is sent
   */
  take(newest: number, ownLoss: number, nowMs: number): ProbeResult | null {
    const packets = this.#bytes.length;
    if (this.#state !== 'waiting') return null;
    if (this.#reported < packets && newest < this.#firstSequence + packets + REORDERED) return null;
    if (packets - this.#reported > packets * UNREPORTED_SHARE) {
      this.#state = 'idle';
      this.#nextMs = nowMs + RETRY_MS;
      return null;
    }
    const result = this.#evaluate(ownLoss);
    if (!result) {
      this.#fail(nowMs);
      return null;
    }
    this.#state = 'idle';
    this.#isWide = !result.saturated;
    if (result.saturated) {
      this.#wait(nowMs);
      return result;
    }
    this.succeeded++;
    this.#succeededMs = nowMs;
    this.#nextMs = result.bps >= this.#aimBps * GO_ON ? nowMs : nowMs + RETRY_MS;
    return result;
  }

  #evaluate(ownLoss: number): ProbeResult | null {
    let from = 0;
    for (let before = 0; before < this.#totalBytes / 2; from++) before += this.#bytes[from] as number;
    let sentBytes = 0;
    let receivedBytes = 0;
    let received = 0;
    let first = from;
    let last = from;
    for (let i = from; i < this.#bytes.length; i++) {
      sentBytes += this.#bytes[i] as number;
      const arrivedMs = this.#arrivedMs[i] as number;
      if (Number.isNaN(arrivedMs)) continue;
      received++;
      receivedBytes += this.#bytes[i] as number;
      if (received === 1 || arrivedMs < (this.#arrivedMs[first] as number)) first = i;
      if (received === 1 || arrivedMs >= (this.#arrivedMs[last] as number)) last = i;
    }
    const end = this.#bytes.length - 1;
    const sentMs = (this.#sentMs[end] as number) - (this.#sentMs[from] as number);
    const arrivedMs = (this.#arrivedMs[last] as number) - (this.#arrivedMs[first] as number);
    if (received < MIN_PACKETS / 2 || !(sentMs > 0) || !(arrivedMs > 0)) return null;
    const sentBps = ((sentBytes - (this.#bytes[end] as number)) * 8_000) / sentMs;
    const receivedBps = ((receivedBytes - (this.#bytes[first] as number)) * 8_000) / arrivedMs / (1 - ownLoss);
    if (receivedBps > sentBps * MAX_COMPRESSION) return null;
    const saturated = receivedBps < sentBps * SATURATED;
    return { bps: saturated ? receivedBps * BELOW_SATURATION : Math.min(sentBps, receivedBps), saturated };
  }

  #checkSending(nowMs: number): void {
    const elapsedMs = nowMs - this.#startMs;
    const isFull = this.#bytes.length >= MAX_PACKETS;
    if (elapsedMs < this.#durationMs && !isFull) return;
    const isEnough = this.#bytes.length >= MIN_PACKETS;
    if (isEnough || elapsedMs > this.#durationMs * GIVE_UP_FACTOR) this.#stopSending(nowMs);
  }

  #stopSending(nowMs: number): void {
    if (this.#bytes.length === 0) this.#fail(nowMs);
    else this.#state = 'waiting';
  }

  #fail(nowMs: number): void {
    this.#state = 'idle';
    this.#isWide = false;
    this.#wait(nowMs);
  }

  #wait(nowMs: number): void {
    this.#nextMs = nowMs + this.#waitMs;
    this.#waitMs = Math.min(MAX_WAIT_MS, this.#waitMs * 1.5);
  }
}
