import type { AllocationTrack, LayerOption } from '../congestion/allocate.ts';
import { Allocator } from '../congestion/allocator.ts';
import { BandwidthEstimator } from '../congestion/estimator.ts';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import type { TransportFeedbackPacket } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { SimulatedPath } from './simulated-path.ts';

const TICK_MS = 50;
const PUMP_MS = 5;
const FEEDBACK_MS = 100;
const PACKET_BYTES = 1_200;
const PADDING_BYTES = 275;
const AUDIO_MS = 20;
/** How many usual frames a key frame is. */
const KEY_FRAME = 6;
/** Publishers spread their frames: so many times the bitrate. */
const PUBLISHER_PACE = 2.5;
/** From the wish for another layer to its first key frame. */
const KEY_FRAME_MS = 150;
/** The receiver's clock is another one. */
const CLOCK_OFFSET_MS = 123_456;

export interface SimulatedTrack {
  kind: 'audio' | 'video';
  /** Ascending. */
  layers: readonly LayerOption[];
  priority?: number;
}

export interface Sample {
  timeMs: number;
  targetBps: number;
  /** Of each track, null while nothing of it is sent. */
  layers: (number | null)[];
  /** Waiting in the link's queue and on the way, in milliseconds. */
  delayMs: number;
}

interface Sending {
  source: SimulatedTrack;
  current: LayerOption | null;
  target: LayerOption | null;
  switchMs: number;
  nextMs: number;
  isKeyFrame: boolean;
  /** Of the publisher's pacer: packets to come, bytes that may go. */
  waiting: number[];
  credit: number;
}

/**
 * A subscriber behind a simulated path, sent to by the real estimator, prober and allocator, as the SFU does it: media as
 * it comes, padding of probes every few milliseconds, feedback every 100 ms through the real packets.
 */
export class SimulatedCall {
  readonly estimator = new BandwidthEstimator();
  readonly samples: Sample[] = [];
  timeMs = 0;
  sentAudio = 0;
  lostAudio = 0;
  paddingBytes = 0;
  readonly #path: SimulatedPath;
  readonly #returnDelayMs: number;
  readonly #allocator = new Allocator<SimulatedTrack>();
  readonly #tracks: Sending[];
  readonly #arrivals = new ArrivalRecorder();
  readonly #inFlight: { sequence: number; arrivalMs: number }[] = [];
  readonly #feedback: { packet: TransportFeedbackPacket; arrivalMs: number }[] = [];
  #delayMs = 0;

  constructor(path: SimulatedPath, tracks: readonly SimulatedTrack[]) {
    this.#path = path;
    this.#returnDelayMs = path.options.delayMs;
    this.#tracks = tracks.map((source, i) => ({
      source,
      current: null,
      target: null,
      switchMs: 0,
      nextMs: i * 3,
      isKeyFrame: true,
      waiting: [],
      credit: 0,
    }));
  }

  /** Goes on for so long, a millisecond at a time. */
  run(durationMs: number): void {
    for (const until = this.timeMs + durationMs; this.timeMs < until; this.timeMs++) this.#step(this.timeMs);
  }

  /** What was seen between two times. */
  between(fromMs: number, untilMs: number): Sample[] {
    return this.samples.filter(({ timeMs }) => timeMs >= fromMs && timeMs < untilMs);
  }

  #step(nowMs: number): void {
    while (this.#inFlight[0] && this.#inFlight[0].arrivalMs <= nowMs) {
      const { sequence, arrivalMs } = this.#inFlight.shift() as { sequence: number; arrivalMs: number };
      this.#arrivals.record(sequence, (arrivalMs + CLOCK_OFFSET_MS) * 1_000);
    }
    if (nowMs % FEEDBACK_MS === 0) this.#sendFeedback(nowMs);
    while (this.#feedback[0] && this.#feedback[0].arrivalMs <= nowMs)
      this.estimator.onFeedback((this.#feedback.shift() as { packet: TransportFeedbackPacket }).packet, nowMs);
    for (const track of this.#tracks) this.#sendMedia(track, nowMs);
    if (nowMs % PUMP_MS === 0) this.#sendPadding(nowMs);
    if (nowMs % TICK_MS === 0) this.#allocate(nowMs);
  }

  #allocate(nowMs: number): void {
    const inputs = new Map<SimulatedTrack, Omit<AllocationTrack, 'current'>>();
    for (const { source } of this.#tracks)
      inputs.set(source, { kind: source.kind, priority: source.priority ?? 100, wish: {}, layers: source.layers });
    const { layers, wantedBps } = this.#allocator.update(inputs, this.estimator.targetBps, nowMs);
    this.#tracks.forEach((track, i) => {
      const target = layers[i] ?? null;
      if (target === null) track.current = null;
      if (target !== track.target) track.switchMs = nowMs + KEY_FRAME_MS;
      track.target = target;
    });
    this.estimator.tick(wantedBps, true, nowMs);
    this.samples.push({
      timeMs: nowMs,
      targetBps: this.estimator.targetBps,
      layers: layers.map((layer, i) => (layer ? (this.#tracks[i] as Sending).source.layers.indexOf(layer) : null)),
      delayMs: this.#delayMs,
    });
  }

  #sendMedia(track: Sending, nowMs: number): void {
    this.#makeFrame(track, nowMs);
    if (!track.current) track.waiting = [];
    track.credit = Math.min(0, track.credit) + ((track.current?.bitrateBps ?? 0) * PUBLISHER_PACE) / 8_000;
    for (let bytes = track.waiting[0]; bytes !== undefined && track.credit > 0; bytes = track.waiting[0]) {
      track.waiting.shift();
      track.credit -= bytes;
      const arrived = this.#send(bytes, nowMs);
      if (track.source.kind === 'video') continue;
      this.sentAudio++;
      if (!arrived) this.lostAudio++;
    }
  }

  #makeFrame(track: Sending, nowMs: number): void {
    const isVideo = track.source.kind === 'video';
    if (track.target !== track.current && track.target && nowMs >= track.switchMs) {
      track.isKeyFrame = isVideo;
      track.current = track.target;
    }
    if (nowMs < track.nextMs) return;
    const fps = isVideo ? (track.current?.fps ?? 30) : 1_000 / AUDIO_MS;
    track.nextMs += 1_000 / fps;
    if (!track.current) return;
    let bytes = track.current.bitrateBps / fps / 8;
    if (isVideo) bytes *= track.isKeyFrame ? KEY_FRAME : 0.7 + this.#path.random() * 0.6;
    track.isKeyFrame = false;
    for (; bytes > 0; bytes -= PACKET_BYTES) track.waiting.push(Math.ceil(Math.min(PACKET_BYTES, bytes)));
  }

  #sendPadding(nowMs: number): void {
    for (let due = this.estimator.prober.due(nowMs); due > 0; due -= PADDING_BYTES) {
      const bytes = due > 4 * PADDING_BYTES ? PACKET_BYTES : PADDING_BYTES;
      this.paddingBytes += bytes;
      this.#send(bytes, nowMs);
      if (bytes === PACKET_BYTES) due -= PACKET_BYTES - PADDING_BYTES;
    }
  }

  #send(bytes: number, nowMs: number): boolean {
    const sequence = this.estimator.record(bytes, nowMs);
    const arrivalMs = this.#path.send(bytes, nowMs);
    if (arrivalMs === null) return false;
    this.#delayMs = arrivalMs - nowMs;
    this.#inFlight.push({ sequence, arrivalMs });
    return true;
  }

  #sendFeedback(nowMs: number): void {
    for (let bytes = this.#arrivals.take(1, 2); bytes; bytes = this.#arrivals.take(1, 2))
      for (const packet of parseRtcp(bytes))
        if (packet.type === 'twcc') this.#feedback.push({ packet, arrivalMs: nowMs + this.#returnDelayMs });
  }
}
