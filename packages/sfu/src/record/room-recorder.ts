import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { OramaError, systemClock, type Timer } from '@orama/core';
import {
  type ServerFrame,
  type ServerFrameOf,
  SIGNALLING_CLOSE,
  serverFrameSchema,
  type TurnCredentials,
} from '@orama/protocol';
import type { Codec } from '../rtc/codecs.ts';
import type { NativeTrack } from '../rtc/native-track.ts';
import { isRtcp, RtpView, readRtp, readUint32 } from '../rtp/header.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import { faultOf } from './fault.ts';
import { type RecordedTrack, type Recording, writeManifest } from './manifest.ts';
import { PeerClock } from './peer-clock.ts';
import { type MediaWay, Receiver } from './receiver.ts';
import { withoutRedundancy } from './redundancy.ts';
import { extensionOf, isRecordable } from './track-file.ts';
import { TrackRecorder, type TrackRecorderOptions } from './track-recorder.ts';

const TICK_MS = 50;
/** The manifest on disk is never older, also if this process is killed. */
const MANIFEST_MS = 5_000;
const OPEN_TIMEOUT_MS = 10_000;
/** The room may move: it is looked for again for so long. */
const RETRY_MS = 30_000;
const RETRY_GAP_MS = 500;
/** Closes after which joining again makes no sense. */
const FINAL_CLOSES: readonly number[] = [
  SIGNALLING_CLOSE.normal,
  SIGNALLING_CLOSE.badCredential,
  SIGNALLING_CLOSE.notAllowed,
  SIGNALLING_CLOSE.noSuchRoom,
];

export interface RoomRecorderOptions {
  /** Base URL of a gateway, http or https. */
  gateway: string;
  apiKey: string;
  room: string;
  /** Folder for the files; made if it is not there. */
  folder: string;
  /** Shown to the others in the room. */
  name: string;
  /** Opens a way through the namespace's TURN servers. Rejects with an OramaError when there is none. */
  openWay: (credentials: TurnCredentials, onBroken: (thrown: unknown) => void) => Promise<MediaWay>;
  /** Ends the recording in order. */
  signal: AbortSignal;
  /** A file was begun. */
  onTrack?: (track: { file: string; peerId: string; name: string | undefined; codec: string }) => void;
  /** Something that the operator should know; the recording goes on. */
  onNote?: (text: string) => void;
}

interface Announced {
  frame: ServerFrameOf<'track-added'>;
  /** Of the codec that is sent now. */
  recorder: TrackRecorder | null;
  /** Codecs of it that cannot be recorded, as was told. */
  refused: Set<string>;
}

/** Records every track of a room into files of its own, as a peer that only listens. */
export class RoomRecorder {
  readonly #options: RoomRecorderOptions;
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();
  readonly #names = new Map<string, string>();
  readonly #clocks = new Map<string, PeerClock>();
  /** What is received now, by mid. */
  readonly #tracks = new Map<string, Announced>();
  /** Every file of the recording. */
  readonly #recorders: TrackRecorder[] = [];
  readonly #closing: Promise<void>[] = [];
  #written: Promise<void> = Promise.resolve();
  #socket: WebSocket | null = null;
  #receiver: Receiver | null = null;
  #tick: Timer | null = null;
  #nextManifestMs = 0;
  readonly #view = new RtpView();
  /** Why it ends before it was told to. */
  #fault: unknown = null;
  /** Why something is missing on the disk; the recording goes on. */
  #missing: unknown = null;
  #stop: (why: { code: number; reason: string }) => void = () => {};

  constructor(options: RoomRecorderOptions) {
    this.#options = options;
  }

  /**
   * Records until the signal is aborted, the room is closed or the recorder is removed from it.
   * @throws OramaError when nothing can be recorded, and at the end when something is missing on the disk; what was written can be
   * played all the same
   */
  async run(): Promise<Recording> {
    const { folder, signal } = this.#options;
    try {
      await mkdir(folder, { recursive: true });
      await writeManifest(folder, this.#describe(null));
    } catch (thrown) {
      throw failed(`nothing can be written to ${folder}`, thrown, 'choose another folder with --output');
    }
    this.#tick = systemClock.every(TICK_MS, () => this.#everyTick());
    let retryUntilMs = 0;
    try {
      while (!signal.aborted && !this.#fault) {
        const { code, reason, joined } = await this.#attend();
        if (signal.aborted || this.#fault || FINAL_CLOSES.includes(code)) {
          if (!joined && !signal.aborted && !this.#fault) throw refused(reason);
          break;
        }
        if (joined) retryUntilMs = performance.now() + RETRY_MS;
        if (performance.now() > retryUntilMs) throw refused(reason);
        this.#options.onNote?.(`the connection is gone (${reason || code}); joining again`);
        await wait(RETRY_GAP_MS);
      }
    } finally {
      this.#tick.cancel();
      await this.#endTracks();
      await this.#write(new Date());
    }
    if (this.#fault) throw failed('the recording ended', this.#fault);
    if (this.#missing) throw failed('the recording is not whole', this.#missing);
    return this.#describe(new Date());
  }

  /** One stay in the room. Settles when the socket has ended. */
  async #attend(): Promise<{ code: number; reason: string; joined: boolean }> {
    const { gateway, apiKey, room, name, signal } = this.#options;
    const url = new URL('/v1/webrtc/signal', gateway.replace(/^http/, 'ws'));
    url.searchParams.set('room', room);
    const socket = new WebSocket(url, { headers: { 'x-api-key': apiKey } });
    this.#socket = socket;
    let joined = false;
    let handled = Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>();
    this.#stop = resolve;
    const stop = () => resolve({ code: SIGNALLING_CLOSE.normal, reason: 'stopped' });
    const timeout = systemClock.after(OPEN_TIMEOUT_MS, () => {
      if (!joined) resolve({ code: SIGNALLING_CLOSE.goingAway, reason: 'the gateway does not answer' });
    });
    signal.addEventListener('abort', stop, { once: true });
    socket.onopen = () => this.#send({ type: 'join', name, metadata: { recorder: true }, channels: false });
    socket.onerror = () => resolve({ code: SIGNALLING_CLOSE.goingAway, reason: 'the gateway is not reached' });
    socket.onclose = ({ code, reason }) => resolve({ code, reason });
    socket.onmessage = ({ data }) => {
      const frame = serverFrameSchema.parse(JSON.parse(String(data)));
      if (frame.type === 'welcome') joined = true;
      // One after the other: an offer may overtake the connection that it is for.
      handled = handled.then(() => this.#handle(frame)).catch((thrown: unknown) => this.#fail(thrown));
    };
    const ending = await promise;
    timeout.cancel();
    signal.removeEventListener('abort', stop);
    if (socket.readyState === WebSocket.OPEN) this.#send({ type: 'leave' });
    socket.onclose = socket.onmessage = null;
    socket.close();
    await handled;
    await this.#receiver?.close();
    this.#receiver = null;
    await this.#endTracks();
    return { ...ending, joined };
  }

  async #handle(frame: ServerFrame): Promise<void> {
    switch (frame.type) {
      case 'welcome':
        for (const { peerId, name } of frame.participants) if (name !== undefined) this.#names.set(peerId, name);
        break;
      case 'turn-credentials': {
        const ended = () => this.#stop({ code: SIGNALLING_CLOSE.goingAway, reason: 'the media connection is gone' });
        this.#receiver = new Receiver(await this.#options.openWay(frame, ended), {
          answer: (sdp) => this.#send({ type: 'answer', sdp }),
          candidate: (candidate, sdpMid) => this.#send({ type: 'ice-candidate', candidate, sdpMid }),
          packet: (track, packet, codec) => this.#receive(track, packet, codec),
          ended,
        });
        break;
      }
      case 'offer':
      case 'ice-candidate':
        this.#receiver?.handle(frame);
        break;
      case 'peer-joined':
        if (frame.name !== undefined) this.#names.set(frame.peerId, frame.name);
        break;
      case 'track-added':
        await this.#endTrack(frame.mid);
        this.#receiver?.forget(frame.mid);
        this.#tracks.set(frame.mid, { frame, recorder: null, refused: new Set() });
        break;
      case 'track-removed':
        for (const [mid, { frame: added }] of this.#tracks)
          if (added.trackId === frame.trackId) await this.#endTrack(mid);
        break;
      case 'server-draining':
        this.#stop({ code: SIGNALLING_CLOSE.moved, reason: frame.reason });
        break;
      case 'kicked':
      case 'room-closed':
        this.#options.onNote?.(frame.reason);
        break;
      case 'error':
        this.#options.onNote?.(frame.message);
        break;
    }
  }

  #receive(track: NativeTrack, packet: Buffer, codec: Codec | null): void {
    const announced = this.#tracks.get(track.mid);
    if (!announced) return;
    const nowMs = performance.now();
    if (isRtcp(packet)) {
      const { recorder } = announced;
      for (const report of parseRtcp(packet))
        if (report.type === 'sr' && report.ssrc === recorder?.ssrc) recorder.learn(report, nowMs);
      return;
    }
    if (!codec) return;
    const isRed = codec.name.toLowerCase() === 'red';
    // RED comes and goes as others in the room take it: to the file it is Opus all the time.
    const name = isRed ? 'opus' : codec.name;
    if (announced.recorder?.codec !== name)
      this.#begin(announced, track, { codec: name, clockRate: codec.clockRate, ssrc: readUint32(packet, 8) });
    const plain = isRed && readRtp(packet, this.#view) ? withoutRedundancy(packet, this.#view) : packet;
    if (plain) announced.recorder?.receive(plain, nowMs);
  }

  /** Begins a file for what is sent from now on, and ends that for another codec. */
  #begin(
    announced: Announced,
    native: NativeTrack,
    stream: Pick<TrackRecorderOptions, 'codec' | 'clockRate' | 'ssrc'>,
  ): void {
    const { folder, onTrack, onNote } = this.#options;
    const { codec } = stream;
    const { frame, recorder: before, refused } = announced;
    if (before) this.#closing.push(before.close());
    announced.recorder = null;
    if (!isRecordable(codec)) {
      if (!refused.has(codec))
        onNote?.(
          `a ${frame.kind} track in ${codec} is left out: record Opus, VP8, VP9, AV1, H.264 or H.265, by the order of codecs at its publisher`,
        );
      refused.add(codec);
      return;
    }
    const number = String(this.#recorders.length + 1).padStart(2, '0');
    const file = `${number}-${frame.source ?? frame.kind}-${frame.peerId}.${extensionOf(codec)}`;
    const name = this.#names.get(frame.peerId);
    const clock = this.#clocks.get(frame.peerId) ?? new PeerClock();
    this.#clocks.set(frame.peerId, clock);
    announced.recorder = new TrackRecorder({
      ...stream,
      ...{ track: { ...frame, name }, clock },
      path: join(folder, file),
      send: (packet) => native.send(packet),
      onFault: (recorder, thrown) => this.#fileFailed(recorder, thrown),
    });
    this.#recorders.push(announced.recorder);
    onTrack?.({ file, peerId: frame.peerId, name, codec });
  }

  /** A full disk, for example. Other files may be on the good side of a limit: it ends with the last of them. */
  #fileFailed({ fileName }: TrackRecorder, thrown: unknown): void {
    this.#miss(`${fileName} ends here`, thrown);
    const recorders = [...this.#tracks.values()].flatMap(({ recorder }) => recorder ?? []);
    if (recorders.every(({ failed }) => failed)) this.#fail(thrown);
  }

  #miss(what: string, thrown: unknown): void {
    this.#options.onNote?.(`${what}: ${faultOf(thrown)}`);
    this.#missing ??= thrown;
  }

  #everyTick(): void {
    const nowMs = performance.now();
    for (const { recorder } of this.#tracks.values()) recorder?.tick(nowMs);
    if (nowMs < this.#nextManifestMs || this.#tracks.size === 0) return;
    this.#nextManifestMs = nowMs + MANIFEST_MS;
    void this.#write(null);
  }

  async #endTrack(mid: string): Promise<void> {
    const announced = this.#tracks.get(mid);
    this.#tracks.delete(mid);
    if (!announced?.recorder) return;
    const closed = announced.recorder.close();
    this.#closing.push(closed);
    await closed;
    await this.#write(null);
  }

  async #endTracks(): Promise<void> {
    await Promise.all([...this.#tracks.keys()].map((mid) => this.#endTrack(mid)));
    await Promise.all(this.#closing);
  }

  #describe(endedAt: Date | null): Recording {
    const tracks = this.#recorders.map((recorder) => recorder.describe(this.#startedMs));
    return {
      room: this.#options.room,
      startedAt: this.#startedAt.toISOString(),
      endedAt: endedAt?.toISOString() ?? null,
      tracks: tracks.filter((track): track is RecordedTrack => track !== null),
    };
  }

  /** Writes the manifest as it is then; one after the other, because tracks may end together. */
  #write(endedAt: Date | null): Promise<void> {
    this.#written = this.#written
      .then(() => writeManifest(this.#options.folder, this.#describe(endedAt)))
      .catch((thrown: unknown) => {
        if (!this.#missing) this.#miss('recording.json stays as it was', thrown);
      });
    return this.#written;
  }

  #send(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #fail(thrown: unknown): void {
    this.#fault ??= thrown;
    this.#stop({ code: SIGNALLING_CLOSE.normal, reason: 'failed' });
  }
}

function refused(reason: string): OramaError {
  return new OramaError('UNAVAILABLE', `the room cannot be recorded: ${reason || 'the connection was refused'}`, {
    hint: 'see "orama room list", and check the gateway and the API key',
    retryable: true,
  });
}

const KEPT = 'what was written until then can be played; make room, or record to another disk';

function failed(what: string, cause: unknown, hint = KEPT): OramaError {
  if (cause instanceof OramaError) return cause;
  const isDisk = typeof (cause as NodeJS.ErrnoException).code === 'string';
  return new OramaError('UNAVAILABLE', `${what}: ${faultOf(cause)}`, { cause, ...(isDisk ? { hint } : {}) });
}
