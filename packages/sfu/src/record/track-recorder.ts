import { basename } from 'node:path';
import type { TrackInfo } from '@orama/protocol';
import { KeyFrameRequests } from '../media/key-frames.ts';
import { NackTracker } from '../media/nack-tracker.ts';
import { Reception } from '../media/reception.ts';
import { RtpView, readRtp } from '../rtp/header.ts';
import { buildNack, buildPli, buildReceiverReport, buildRemb } from '../rtp/rtcp/build.ts';
import type { SenderReport } from '../rtp/rtcp/packets.ts';
import { faultOf } from './fault.ts';
import { FrameAssembler } from './frame-assembler.ts';
import type { RecordedTrack } from './manifest.ts';
import type { PeerClock } from './peer-clock.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import { Timeline } from './timeline.ts';
import { TrackFile } from './track-file.ts';

/** Sender of our reports. */
const OWN_SSRC = 1;
const REPORT_MS = 1_000;
/** Told to the SFU as what our path takes: a recording wants the best layer, and files are not played as they come. */
const WANTED_BPS = 50_000_000;

export interface TrackRecorderOptions {
  track: TrackInfo & { peerId: string; name: string | undefined };
  /** As in SDP. */
  codec: string;
  clockRate: number;
  ssrc: number;
  path: string;
  clock: PeerClock;
  /** Sends RTCP to the SFU. */
  send: (packet: Buffer) => boolean;
  /** Called once when the file cannot be written any further; the track is left alone then. */
  onFault: (recorder: TrackRecorder, thrown: unknown) => void;
}

/** Records one RTP stream as a good receiver: in order, with what was lost asked for again, from key frame to key frame. */
export class TrackRecorder {
  readonly #options: TrackRecorderOptions;
  readonly #file: TrackFile;
  readonly #timeline: Timeline;
  readonly #assembler: FrameAssembler;
  readonly #packets = new ReorderBuffer();
  readonly #nacks = new NackTracker();
  readonly #reception: Reception;
  readonly #keyFrames: KeyFrameRequests;
  readonly #view = new RtpView();
  #nextReportMs = 0;
  #frames = 0;
  #lost = 0;
  #endSec = 0;
  #firstAtMs: number | null = null;
  #fault: unknown = null;

  constructor(options: TrackRecorderOptions) {
    this.#options = options;
    const { codec, clockRate, ssrc, send } = options;
    this.#file = new TrackFile(options.path, codec, (thrown) => {
      this.#fault = thrown;
      options.onFault(this, thrown);
    });
    this.#timeline = new Timeline(clockRate);
    this.#assembler = new FrameAssembler(codec);
    this.#reception = new Reception(clockRate);
    this.#keyFrames = new KeyFrameRequests(() => send(buildPli(OWN_SSRC, ssrc)), this.#nacks);
  }

  /** As in SDP. */
  get codec(): string {
    return this.#options.codec;
  }

  get ssrc(): number {
    return this.#options.ssrc;
  }

  /** Of its file, without the folder. */
  get fileName(): string {
    return basename(this.#options.path);
  }

  /** Whether its file cannot be written any further. */
  get failed(): boolean {
    return this.#fault !== null;
  }

  /** @param packet one RTP packet of the stream, ours to keep */
  receive(packet: Buffer, nowMs: number): void {
    if (this.failed || !readRtp(packet, this.#view)) return;
    const { sequence, timestamp } = this.#view;
    if (this.#firstAtMs === null) {
      this.#firstAtMs = nowMs;
      if (this.#options.track.kind === 'video') this.#keyFrames.request(nowMs);
    }
    this.#reception.record(sequence, timestamp, nowMs);
    this.#nacks.record(sequence, nowMs);
    this.#packets.push(sequence, packet);
    this.#drain(nowMs);
  }

  /** Learns when the stream's timestamps were, by the publisher's clock. */
  learn(report: SenderReport, nowMs: number): void {
    this.#reception.recordSenderReport(report, nowMs);
    const ntpSeconds = report.ntpSeconds + report.ntpFraction / 2 ** 32;
    this.#timeline.learn(report.rtpTimestamp, ntpSeconds);
    this.#options.clock.learn(ntpSeconds, nowMs);
  }

  /** Asks for what is missing and reports. Call it every 50 ms. */
  tick(nowMs: number): void {
    if (this.failed) return;
    const { send, ssrc, track } = this.#options;
    this.#drain(nowMs);
    const missing = this.#nacks.due(nowMs);
    if (missing.length > 0) send(buildNack(OWN_SSRC, ssrc, missing));
    this.#keyFrames.tick(nowMs, true);
    if (nowMs < this.#nextReportMs) return;
    this.#nextReportMs = nowMs + REPORT_MS;
    const report = this.#reception.report(ssrc, nowMs);
    if (!report) return;
    const packets = [buildReceiverReport(OWN_SSRC, [report])];
    if (track.kind === 'video') packets.push(buildRemb(OWN_SSRC, WANTED_BPS, [ssrc]));
    send(Buffer.concat(packets));
  }

  /** What is in the file so far. @param startedMs of the recording; null before there is a frame */
  describe(startedMs: number): RecordedTrack | null {
    if (this.#frames === 0 || this.#firstAtMs === null) return null;
    const { track, codec, clock } = this.#options;
    const { startSec } = this.#timeline;
    const startMs = (startSec === null ? null : clock.toLocalMs(startSec)) ?? this.#firstAtMs;
    return {
      file: this.fileName,
      peerId: track.peerId,
      ...(track.name === undefined ? {} : { name: track.name }),
      trackId: track.trackId,
      kind: track.kind,
      ...(track.source === undefined ? {} : { source: track.source }),
      codec,
      startSec: Math.round(startMs - startedMs) / 1000,
      durationSec: Math.round(this.#endSec * 1000) / 1000,
      frames: this.#frames,
      lostPackets: this.#lost,
      ...(this.failed ? { fault: faultOf(this.#fault) } : {}),
    };
  }

  /** Writes the file's end. Never throws. */
  close(): Promise<void> {
    return this.#file.close();
  }

  #drain(nowMs: number): void {
    this.#packets.drain(nowMs, (packet, lost) => {
      if (lost > 0) this.#noteLoss(lost, nowMs);
      // One without content has the number of a packet that was left out on purpose.
      if (readRtp(packet, this.#view) && this.#view.payloadEnd > this.#view.payloadStart) this.#take(packet, nowMs);
    });
  }

  #noteLoss(lost: number, nowMs: number): void {
    this.#lost += lost;
    if (this.#options.track.kind === 'audio') return;
    this.#assembler.interrupt();
    this.#keyFrames.request(nowMs);
  }

  #take(packet: Buffer, nowMs: number): void {
    const frame = this.#assembler.push(packet, this.#view);
    if (!frame) {
      if (this.#assembler.waitsForKey) this.#keyFrames.request(nowMs);
      return;
    }
    if (frame.isKey) this.#keyFrames.onKeyFrame(nowMs);
    // A file wants to know the size of its pictures first.
    if (this.#frames === 0 && this.#options.track.kind === 'video' && frame.width === 0) return;
    this.#endSec = Math.max(this.#endSec, this.#timeline.seconds(frame.timestamp));
    this.#frames++;
    this.#file.add(frame, this.#endSec);
  }
}
