import type { ClientFrameOf } from '@orama/protocol';
import type { Clock, Timer } from '../clock.ts';
import { ClientError } from '../errors.ts';
import type { LocalTrack } from './local-track.ts';

/** A track that an answer leaves out is explained by an `error` that follows at once, from servers that explain. */
const REASON_WAIT_MS = 500;

export interface SendersHandlers {
  /** The server takes the track. */
  onPublished(track: LocalTrack): void;
  /** The server does not; it has left the session. */
  onRefused(track: LocalTrack, error: ClientError): void;
}

interface Sending {
  transceiver: RTCRtpTransceiver;
  /** `new` until an offer names it, `accepted` once an answer has taken it. */
  state: 'new' | 'offered' | 'accepted';
}

/** What one RTCPeerConnection sends: which track is on which m-line, and what the server said to it. */
export class Senders {
  readonly #pc: RTCPeerConnection;
  readonly #clock: Clock;
  readonly #handlers: SendersHandlers;
  readonly #sending = new Map<LocalTrack, Sending>();
  readonly #idle: RTCRtpTransceiver[] = [];
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
    this.#sending.set(track, { transceiver: this.#transceiverFor(track), state: 'new' });
  }

  /** Takes a track off; true when it was on. Negotiate afterwards. */
  remove(track: LocalTrack): boolean {
    const sending = this.#sending.get(track);
    if (!sending) return false;
    this.#sending.delete(track);
    this.#retire(sending.transceiver);
    return true;
  }

  /** The track on `mid`. */
  on(mid: string): LocalTrack | undefined {
    for (const [track, { transceiver }] of this.#sending) if (transceiver.mid === mid) return track;
    return undefined;
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

  /** The offer was answered: sees which tracks were taken. */
  settle(): void {
    for (const [track, sending] of [...this.#sending]) {
      if (sending.state !== 'offered') continue;
      if (sending.transceiver.currentDirection === 'sendonly') {
        sending.state = 'accepted';
        tune(sending.transceiver.sender, track);
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

  #transceiverFor(track: LocalTrack): RTCRtpTransceiver {
    // An m-line can never leave a session, so one that an unpublished track left behind is used again.
    const idle = this.#idle.find((t) => t.receiver.track.kind === track.kind && t.currentDirection === 'inactive');
    if (!idle) {
      const encoding = track.maxBitrateBps === undefined ? {} : { maxBitrate: track.maxBitrateBps };
      return this.#pc.addTransceiver(track.mediaStreamTrack, { direction: 'sendonly', sendEncodings: [encoding] });
    }
    this.#idle.splice(this.#idle.indexOf(idle), 1);
    idle.direction = 'sendonly';
    // It only fails on a closed connection, and then the next session publishes the track.
    idle.sender.replaceTrack(track.mediaStreamTrack).catch(() => {});
    return idle;
  }

  #retire(transceiver: RTCRtpTransceiver): void {
    transceiver.direction = 'inactive';
    transceiver.sender.replaceTrack(null).catch(() => {});
    this.#idle.push(transceiver);
  }
}

/** Applies what the publisher asked for; a browser that does not know a field ignores it or refuses, both harmless. */
function tune(sender: RTCRtpSender, track: LocalTrack): void {
  if (track.kind !== 'video') return;
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) {
    if (track.maxBitrateBps !== undefined) encoding.maxBitrate = track.maxBitrateBps;
  }
  parameters.degradationPreference = track.degradationPreference;
  sender.setParameters(parameters).catch(() => {});
}
