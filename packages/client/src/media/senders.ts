import type { ClientFrameOf } from '@orama/protocol';
import type { Clock, Timer } from '../clock.ts';
import { ClientError } from '../errors.ts';
import { ridsOf, type TrackEncoding, videoEncodings } from './encodings.ts';
import type { LocalTrack } from './local-track.ts';
import { SenderParameters } from './sender-parameters.ts';

/** A track that an answer leaves out is explained by an `error` that follows at once, from servers that explain. */
const REASON_WAIT_MS = 500;

export interface SendersHandlers {
  /** The server takes the track. */
  onPublished(track: LocalTrack): void;
  /** The server does not; it has left the session. */
  onRefused(track: LocalTrack, error: ClientError): void;
  /** The server takes a track with several layers, and does not know their sizes. */
  onLayers(layers: LayerDescription): void;
}

/** What the server is told about the layers of a track. */
type LayerDescription = ClientFrameOf<'track-layers'>;

interface Sending {
  transceiver: RTCRtpTransceiver;
  encodings: readonly TrackEncoding[];
  parameters: SenderParameters;
  /** `new` until an offer names it, `accepted` once an answer has taken it. */
  state: 'new' | 'offered' | 'accepted';
}

/** What one RTCPeerConnection sends: which track is on which m-line, and what the server said to it. */
export class Senders {
  readonly #pc: RTCPeerConnection;
  readonly #clock: Clock;
  readonly #handlers: SendersHandlers;
  readonly #sending = new Map<LocalTrack, Sending>();
  readonly #idle: Sending[] = [];
  /** Tracks that the last answer left out, until the server has said why. */
  #unexplained: LocalTrack[] = [];
  #reasonTimer: Timer | undefined;

  constructor(pc: RTCPeerConnection, clock: Clock, handlers: SendersHandlers) {
    this.#pc = pc;
    this.#clock = clock;
    this.#handlers = handlers;
  }

  /** Puts a track on an m-line. Negotiate afterwards. */
  add(track: LocalTrack): void {
    const sending = this.#place(track);
    preferCodec(sending.transceiver, track);
    this.#sending.set(track, sending);
  }

  /** Takes a track off; true when it was on. Negotiate afterwards. */
  remove(track: LocalTrack): boolean {
    const sending = this.#sending.get(track);
    if (!sending) return false;
    this.#sending.delete(track);
    this.#retire(sending);
    return true;
  }

  /** The track on `mid`. */
  on(mid: string): LocalTrack | undefined {
    for (const [track, { transceiver }] of this.#sending) if (transceiver.mid === mid) return track;
    return undefined;
  }

  /** The server names the layers of the track on `mid` that somebody watches. */
  watch(mid: string, rids: readonly string[]): void {
    for (const { transceiver, parameters } of this.#sending.values())
      if (transceiver.mid === mid) parameters.watch(rids);
  }

  /** Describes what the local offer, which must be set, sends. */
  describe(): NonNullable<ClientFrameOf<'offer'>['tracks']> {
    return [...this.#sending].flatMap(([{ source, muted }, sending]) => {
      const { mid } = sending.transceiver;
      if (mid === null) return [];
      if (sending.state === 'new') sending.state = 'offered';
      return [{ mid, source, muted }];
    });
  }

  /** The m-lines of tracks that are sent discontinuously. */
  discontinuous(): ReadonlySet<string> {
    const mids = new Set<string>();
    for (const [{ dtx }, { transceiver }] of this.#sending)
      if (dtx && transceiver.mid !== null) mids.add(transceiver.mid);
    return mids;
  }

  /** The offer was answered: sees which tracks were taken. */
  settle(): void {
    for (const [track, sending] of [...this.#sending]) {
      if (sending.state !== 'offered') continue;
      if (sending.transceiver.currentDirection === 'sendonly') {
        sending.state = 'accepted';
        if (track.kind === 'video') sending.parameters.apply();
        this.#describeLayers(track, sending);
        this.#handlers.onPublished(track);
      } else {
        this.remove(track);
        this.#unexplained.push(track);
      }
    }
    if (this.#unexplained.length === 0) return;
    this.#reasonTimer ??= this.#clock.after(
      REASON_WAIT_MS,
      () => void this.explain(new ClientError('negotiation_failed', 'the server did not accept the track')),
    );
  }

  /** The reason why tracks were not taken; false when none is waiting for one. */
  explain(error: ClientError): boolean {
    this.#reasonTimer?.cancel();
    this.#reasonTimer = undefined;
    const tracks = this.#unexplained.splice(0);
    for (const track of tracks) this.#handlers.onRefused(track, error);
    return tracks.length > 0;
  }

  /** The offer was refused as a whole and rolled back; false when it added nothing that could be to blame. */
  refuse(error: ClientError): boolean {
    const offered = [...this.#sending].filter(([, { state }]) => state === 'offered');
    for (const [track, { transceiver }] of offered) {
      this.#sending.delete(track);
      transceiver.stop();
      this.#handlers.onRefused(track, error);
    }
    return offered.length > 0;
  }

  close(): void {
    this.#reasonTimer?.cancel();
  }

  #place(track: LocalTrack): Sending {
    const encodings = track.kind === 'video' ? videoEncodings(track.mediaStreamTrack.getSettings(), track) : [{}];
    const rids = ridsOf(encodings).join();
    // An m-line can never leave a session, so one that an unpublished track left behind is used again.
    const idle = this.#idle.find(
      ({ transceiver, ...left }) =>
        transceiver.receiver.track.kind === track.kind &&
        transceiver.currentDirection === 'inactive' &&
        ridsOf(left.encodings).join() === rids,
    );
    if (!idle) return this.#newPlace(track, encodings);
    this.#idle.splice(this.#idle.indexOf(idle), 1);
    const { transceiver } = idle;
    // Firefox gives up all layers but one where an m-line was agreed to be inactive. Stopped, it makes room for another.
    if (ridsOf(transceiver.sender.getParameters().encodings).join() !== rids) {
      transceiver.stop();
      return this.#newPlace(track, encodings);
    }
    transceiver.direction = 'sendonly';
    // It only fails on a closed connection, and then the next session publishes the track.
    transceiver.sender.replaceTrack(track.mediaStreamTrack).catch(() => {});
    return sendingOf(transceiver, track, encodings);
  }

  #newPlace(track: LocalTrack, encodings: TrackEncoding[]): Sending {
    const add = (sendEncodings: TrackEncoding[]) =>
      sendingOf(
        this.#pc.addTransceiver(track.mediaStreamTrack, { direction: 'sendonly', sendEncodings }),
        track,
        sendEncodings,
      );
    try {
      return add(encodings);
    } catch {
      // A scalability mode that the browser does not know.
      return add(encodings.map(({ scalabilityMode: _, ...encoding }) => encoding));
    }
  }

  #describeLayers(track: LocalTrack, { transceiver, encodings }: Sending): void {
    const { mid } = transceiver;
    if (mid === null || ridsOf(encodings).length === 0) return;
    const { width = 0, height = 0 } = track.mediaStreamTrack.getSettings();
    const layers = encodings.map(({ rid = '', scaleResolutionDownBy = 1, maxBitrate }) => ({
      rid,
      ...(width > 0 ? { width: Math.max(1, Math.floor(width / scaleResolutionDownBy)) } : {}),
      ...(height > 0 ? { height: Math.max(1, Math.floor(height / scaleResolutionDownBy)) } : {}),
      ...(maxBitrate === undefined ? {} : { maxBitrate }),
    }));
    this.#handlers.onLayers({ type: 'track-layers', mid, layers });
  }

  #retire(sending: Sending): void {
    const { transceiver } = sending;
    transceiver.direction = 'inactive';
    transceiver.sender.replaceTrack(null).catch(() => {});
    this.#idle.push(sending);
  }
}

function sendingOf(transceiver: RTCRtpTransceiver, track: LocalTrack, encodings: readonly TrackEncoding[]): Sending {
  return {
    transceiver,
    encodings,
    parameters: new SenderParameters(transceiver.sender, track, encodings),
    state: 'new',
  };
}

/** Puts the wanted codec first; a browser that lacks it keeps its own order. */
function preferCodec(transceiver: RTCRtpTransceiver, { kind, codec }: LocalTrack): void {
  if (codec === undefined) return;
  const { codecs = [] } = RTCRtpReceiver.getCapabilities?.(kind) ?? {};
  const isWanted = ({ mimeType }: RTCRtpCodec) => mimeType.toUpperCase().endsWith(`/${codec}`);
  if (!codecs.some(isWanted)) return;
  transceiver.setCodecPreferences([...codecs.filter(isWanted), ...codecs.filter((other) => !isWanted(other))]);
}
