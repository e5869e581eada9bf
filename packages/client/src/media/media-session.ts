import {
  type ClientFrame,
  type ClientFrameOf,
  iceServerOf,
  type ServerFrame,
  type ServerFrameOf,
  type TurnCredentials,
} from '@orama/protocol';
import type { Timer } from '../clock.ts';
import { ClientError, type ClientErrorCode } from '../errors.ts';
import type { Platform } from '../room/options.ts';
import { FlowWatch, pairTotals } from './flow-watch.ts';
import type { LocalTrack } from './local-track.ts';
import { Negotiator } from './negotiator.ts';

/** How long the media may be in each phase on its way, and what went wrong when it is longer. */
const PHASES = {
  /** From the first finished negotiation to a path. */
  connecting: { limitMs: 10_000, problem: 'no media path within 10 s' },
  /** From a path to media keys (DTLS). */
  handshake: { limitMs: 5_000, problem: 'the media encryption was not set up within 5 s' },
  disconnected: { limitMs: 2_000, problem: 'the media path broke' },
} as const;
const FLOW_POLL_MS = 1_000;
/** A track that an answer leaves out is explained by an `error` that follows at once, from servers that explain. */
const REASON_WAIT_MS = 500;
const EXPLANATIONS: Record<string, ClientErrorCode> = {
  too_many_tracks: 'too_many_tracks',
  forbidden: 'not_allowed',
};

export interface MediaHandlers {
  send(frame: ClientFrame): void;
  /** Media is connected, for the first time or again. */
  onConnected(): void;
  /** m-lines may have come or gone: look at `receiving()` again. */
  onReceiversChanged(): void;
  /** A published track is in the session, or was refused. */
  onPublished(track: LocalTrack): void;
  onRefused(track: LocalTrack, error: ClientError): void;
  /** An error that turned out to be about something else. */
  onUnrelatedError(frame: ServerFrameOf<'error'>): void;
  /** The session is dead; a new one is needed. Called once. */
  onFailed(error: ClientError): void;
}

interface Sending {
  transceiver: RTCRtpTransceiver;
  state: 'new' | 'offered' | 'accepted';
}

/** One RTCPeerConnection with the SFU, everything bundled on it. Lives until its media fails or the room is left. */
export class MediaSession {
  readonly pc: RTCPeerConnection;
  readonly #negotiator: Negotiator;
  readonly #handlers: MediaHandlers;
  readonly #clock: Platform['clock'];
  readonly #forceRelay: boolean;
  readonly #sending = new Map<LocalTrack, Sending>();
  readonly #idle: RTCRtpTransceiver[] = [];
  /** Tracks that the last answer left out, until the server has said why. */
  #unexplained: LocalTrack[] = [];
  #reasonTimer: Timer | undefined;
  readonly #flow = new FlowWatch();
  #flowTimer: Timer | undefined;
  #watch: Timer | undefined;
  #phase: 'new' | keyof typeof PHASES | 'connected' = 'new';
  #iceError: string | undefined;
  #closed = false;

  constructor(
    platform: Platform,
    credentials: TurnCredentials | undefined,
    forceRelay: boolean,
    handlers: MediaHandlers,
  ) {
    this.#handlers = handlers;
    this.#clock = platform.clock;
    this.#forceRelay = forceRelay;
    this.pc = new platform.RTCPeerConnection(this.#configuration(credentials));
    this.#negotiator = new Negotiator(this.pc, platform.clock, {
      send: (frame) => handlers.send(frame),
      describeTracks: () => this.#describeTracks(),
      onStable: (side) => this.#onStable(side),
      onRefused: (error) => this.#onRefused(error),
      onFailure: (error) => this.#fail(error),
    });
    this.pc.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate || this.#closed) return;
      const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
      handlers.send({ type: 'ice-candidate', candidate: candidate.candidate, sdpMid, sdpMLineIndex, usernameFragment });
    };
    this.pc.onicecandidateerror = (event) => {
      this.#iceError = `${event.url} answered ${event.errorCode} ${event.errorText}`.trim();
    };
    this.pc.oniceconnectionstatechange = () => this.#onStateChange();
    this.pc.onconnectionstatechange = () => this.#onStateChange();
    this.pc.ontrack = () => handlers.onReceiversChanged();
  }

  /** Adds tracks to the session; one offer follows for all of them. */
  publish(tracks: Iterable<LocalTrack>): void {
    for (const track of tracks) this.#sending.set(track, { transceiver: this.#transceiverFor(track), state: 'new' });
    if (this.#sending.size > 0) this.#negotiator.request();
  }

  /** Takes a track out of the session. */
  unpublish(track: LocalTrack): void {
    const sending = this.#sending.get(track);
    if (!sending || this.#closed) return;
    this.#sending.delete(track);
    this.#retire(sending.transceiver);
    this.#negotiator.request();
  }

  /** The media of `mid`, once it is negotiated and as long as it is received. */
  receiving(mid: string): MediaStreamTrack | undefined {
    const transceiver = this.pc.getTransceivers().find((t) => t.mid === mid);
    const direction = transceiver?.currentDirection;
    return direction === 'recvonly' || direction === 'sendrecv' ? transceiver?.receiver.track : undefined;
  }

  /** The published track on `mid`. */
  sentOn(mid: string): LocalTrack | undefined {
    for (const [track, { transceiver }] of this.#sending) if (transceiver.mid === mid) return track;
    return undefined;
  }

  /** Handles frames of the negotiation; true when `frame` was one. */
  receive(frame: ServerFrame): boolean {
    if (frame.type === 'offer') this.#negotiator.receiveOffer(frame);
    else if (frame.type === 'answer') this.#negotiator.receiveAnswer(frame);
    else if (frame.type === 'ice-candidate') this.#negotiator.receiveCandidate(frame);
    else if (frame.type === 'error') return this.#receiveError(frame);
    else return false;
    return true;
  }

  /** New credentials for allocations made from now on; those that exist go on with theirs. */
  refreshCredentials(credentials: TurnCredentials): void {
    this.pc.setConfiguration(this.#configuration(credentials));
  }

  /** The socket came back for the same peer. */
  resume(): void {
    this.#negotiator.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.cancel();
    this.#flowTimer?.cancel();
    this.#reasonTimer?.cancel();
    this.#negotiator.close();
    this.pc.onicecandidate = null;
    this.pc.onicecandidateerror = null;
    this.pc.oniceconnectionstatechange = null;
    this.pc.onconnectionstatechange = null;
    this.pc.ontrack = null;
    this.pc.close();
  }

  #transceiverFor(track: LocalTrack): RTCRtpTransceiver {
    // An m-line can never leave a session, so one that an unpublished track left behind is used again.
    const idle = this.#idle.find((t) => t.receiver.track.kind === track.kind && t.currentDirection === 'inactive');
    if (!idle) {
      const encoding = track.maxBitrateBps === undefined ? {} : { maxBitrate: track.maxBitrateBps };
      return this.pc.addTransceiver(track.mediaStreamTrack, { direction: 'sendonly', sendEncodings: [encoding] });
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

  #configuration(credentials: TurnCredentials | undefined): RTCConfiguration {
    return {
      iceServers: credentials ? [iceServerOf(credentials)] : [],
      iceTransportPolicy: this.#forceRelay ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
    };
  }

  #describeTracks(): NonNullable<ClientFrameOf<'offer'>['tracks']> {
    return [...this.#sending].flatMap(([{ source, muted }, sending]) => {
      const { mid } = sending.transceiver;
      if (mid === null) return [];
      if (sending.state === 'new') sending.state = 'offered';
      return [{ mid, source, muted }];
    });
  }

  #onStable(side: 'offerer' | 'answerer'): void {
    if (this.#phase === 'new') this.#enter('connecting');
    if (side === 'offerer') this.#settlePublished();
    this.#handlers.onReceiversChanged();
  }

  #settlePublished(): void {
    for (const [track, sending] of [...this.#sending]) {
      if (sending.state !== 'offered') continue;
      if (sending.transceiver.currentDirection === 'sendonly') {
        sending.state = 'accepted';
        tune(sending.transceiver.sender, track);
        this.#handlers.onPublished(track);
      } else {
        this.#sending.delete(track);
        this.#retire(sending.transceiver);
        this.#unexplained.push(track);
      }
    }
    if (this.#unexplained.length === 0) return;
    this.#reasonTimer ??= this.#clock.after(REASON_WAIT_MS, () =>
      this.#explain(new ClientError('negotiation_failed', 'the server did not accept the track')),
    );
  }

  #receiveError(frame: ServerFrameOf<'error'>): boolean {
    const code = EXPLANATIONS[frame.code];
    if (!code) return this.#negotiator.receiveError(frame);
    // The answer that it explains came just before and may not be applied yet.
    this.#negotiator.afterwards(() => {
      if (this.#unexplained.length === 0) this.#handlers.onUnrelatedError(frame);
      else this.#explain(new ClientError(code, frame.message, { hint: frame.hint }));
    });
    return true;
  }

  #explain(error: ClientError): void {
    this.#reasonTimer?.cancel();
    this.#reasonTimer = undefined;
    for (const track of this.#unexplained.splice(0)) this.#handlers.onRefused(track, error);
  }

  #onRefused(error: ClientError): void {
    const pending = [...this.#sending].filter(([, { state }]) => state === 'offered');
    // An offer that adds nothing must be accepted; when it is not, the two sides disagree about the session.
    if (pending.length === 0) this.#fail(error);
    for (const [track, { transceiver }] of pending) {
      this.#sending.delete(track);
      transceiver.stop();
      this.#handlers.onRefused(track, error);
    }
  }

  #onStateChange(): void {
    const { iceConnectionState, connectionState } = this.pc;
    if (iceConnectionState === 'failed') this.#fail(this.#mediaError('no working media path to the server'));
    else if (connectionState === 'failed') this.#fail(this.#mediaError('the media encryption could not be set up'));
    else if (iceConnectionState === 'disconnected') this.#enter('disconnected');
    else if (connectionState === 'connected') this.#enter('connected');
    else if (iceConnectionState === 'connected' || iceConnectionState === 'completed') this.#enter('handshake');
  }

  #enter(phase: keyof typeof PHASES | 'connected'): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#watch?.cancel();
    if (phase === 'connected') {
      this.#flowTimer ??= this.#clock.every(FLOW_POLL_MS, () => void this.#pollFlow());
      this.#handlers.onConnected();
    } else {
      const { limitMs, problem } = PHASES[phase];
      this.#watch = this.#clock.after(limitMs, () => this.#fail(this.#mediaError(problem)));
    }
  }

  async #pollFlow(): Promise<void> {
    const report = await this.pc.getStats().catch(() => undefined);
    if (!report || this.#closed) return;
    const { receivedBytes, sentBytes } = pairTotals(report as unknown as Iterable<[string, unknown]>);
    if (this.#flow.isDead(receivedBytes, sentBytes)) this.#fail(this.#mediaError('the media path went silent'));
  }

  #mediaError(what: string): ClientError {
    const hint = this.#iceError ?? 'a firewall may block UDP and TCP to the TURN server';
    return new ClientError('media_failed', what, { hint });
  }

  #fail(error: ClientError): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onFailed(error);
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
