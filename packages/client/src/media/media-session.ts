import type { ClientFrame, ServerFrame, ServerFrameOf, TurnCredentials } from '@orama/protocol';
import type { Timer } from '../clock.ts';
import { ClientError, type ClientErrorCode } from '../errors.ts';
import type { Platform } from '../room/options.ts';
import { withDtx } from './dtx.ts';
import { FlowWatch, readFlow } from './flow-watch.ts';
import { hasFallback, type IcePath, iceServersOf } from './ice-path.ts';
import type { LocalTrack } from './local-track.ts';
import { Negotiator } from './negotiator.ts';
import { Receivers } from './receivers.ts';
import { Senders, type SendersHandlers } from './senders.ts';

/** How long the media may be in each phase on its way, and what went wrong when it is longer. */
const PHASES = {
  /** From the first finished negotiation to a path. */
  connecting: { limitMs: 10_000, problem: 'no media path within 10 s' },
  /** The same while TURN over TCP is still left to try. */
  'connecting-udp': { limitMs: 3_000, problem: 'no media path over UDP within 3 s' },
  /** From a path to media keys (DTLS). */
  handshake: { limitMs: 5_000, problem: 'the media encryption was not set up within 5 s' },
  disconnected: { limitMs: 2_000, problem: 'the media path broke' },
  /** From an ICE restart to a path that carries something. */
  restarting: { limitMs: 8_000, problem: 'no new media path within 8 s' },
} as const;
/** ICE restarts in a row before the session is given up: one for a broken path, one more with all of TURN. */
const MAX_RESTARTS = 2;
const FLOW_POLL_MS = 1_000;
/**
 * So long a path may stay disconnected that brings media while we send none that would be reported: Firefox checks it
 * again after up to 6 s (RFC 7675 section 5.1).
 */
const UNANSWERED_MS = 8_000;
/** Errors that explain why an answer left tracks out. */
const EXPLANATIONS: Record<string, ClientErrorCode> = {
  too_many_tracks: 'too_many_tracks',
  forbidden: 'not_allowed',
};

export interface MediaHandlers extends Omit<SendersHandlers, 'onLayers'> {
  send(frame: ClientFrame): void;
  /** Media is connected, for the first time or again. */
  onConnected(): void;
  /** m-lines may have come or gone: look at `receiving()` again. */
  onReceiversChanged(): void;
  /** The server opened a data channel to us. */
  onChannel(channel: RTCDataChannel): void;
  /** The path broke, and another one is sought in the same session. */
  onRestart(error: ClientError): void;
  /** An error that turned out to be about something else. */
  onUnrelatedError(frame: ServerFrameOf<'error'>): void;
  /** The session is dead; a new one is needed. Called once, with whether media ever got through. */
  onFailed(error: ClientError, wasConnected: boolean): void;
}

/** One RTCPeerConnection with the SFU, everything bundled on it. Lives until its media fails or the room is left. */
export class MediaSession {
  readonly pc: RTCPeerConnection;
  readonly #negotiator: Negotiator;
  readonly #handlers: MediaHandlers;
  readonly #clock: Platform['clock'];
  readonly #forceRelay: boolean;
  #path: IcePath;
  #credentials: TurnCredentials | undefined;
  readonly #senders: Senders;
  readonly #receivers: Receivers;
  #flow = new FlowWatch();
  #flowTimer: Timer | undefined;
  #watch: Timer | undefined;
  #phase: 'new' | keyof typeof PHASES | 'connected' = 'new';
  #iceError: string | undefined;
  #hasFallback = false;
  #wasConnected = false;
  /** ICE restarts since media last flowed. */
  #restarts = 0;
  /** While there is no socket: what broke meanwhile waits for it. */
  #suspended = false;
  #broken = false;
  #closed = false;

  constructor(
    platform: Platform,
    credentials: TurnCredentials | undefined,
    options: { forceRelay: boolean; path: IcePath; channels: boolean },
    handlers: MediaHandlers,
  ) {
    this.#handlers = handlers;
    this.#clock = platform.clock;
    this.#forceRelay = options.forceRelay;
    this.#path = options.path;
    this.pc = new platform.RTCPeerConnection(this.#configuration(credentials));
    // The m-line of data channels has to be there from the first description on. This channel makes it, unknown to the
    // server, and carries nothing. Ours have odd numbers (RFC 8832 section 6): the server is the DTLS client.
    if (options.channels) this.pc.createDataChannel('', { negotiated: true, id: 1 });
    this.#senders = new Senders(this.pc, platform.clock, {
      onPublished: (track) => handlers.onPublished(track),
      onRefused: (track, error) => handlers.onRefused(track, error),
      onLayers: (layers) => handlers.send(layers),
    });
    this.#receivers = new Receivers(this.pc);
    this.#negotiator = new Negotiator(this.pc, platform.clock, {
      send: (frame) => handlers.send(frame),
      describeTracks: () => this.#senders.describe(),
      amendAnswer: (sdp) => withDtx(sdp, this.#senders.discontinuous()),
      onStable: (side) => this.#onStable(side),
      onRefused: (error) => {
        // An offer that adds nothing must be accepted; when it is not, the two sides disagree about the session.
        if (!this.#senders.refuse(error)) this.#fail(error);
      },
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
    this.pc.ondatachannel = ({ channel }) => handlers.onChannel(channel);
  }

  /** Adds tracks to the session; one offer follows for all of them. */
  publish(tracks: readonly LocalTrack[]): void {
    if (this.#closed) return;
    for (const track of tracks) this.#senders.add(track);
    if (tracks.length > 0) this.#negotiator.request();
  }

  /** Takes a track out of the session. */
  unpublish(track: LocalTrack): void {
    if (!this.#closed && this.#senders.remove(track)) this.#negotiator.request();
  }

  /** Opens a data channel. @throws DOMException when the browser does not like its label or its options */
  openChannel(label: string, init: RTCDataChannelInit): RTCDataChannel {
    const channel = this.pc.createDataChannel(label, init);
    // Nothing may have been negotiated yet.
    if (!this.pc.sctp) this.#negotiator.request();
    return channel;
  }

  /** The media of `mid`, once it is negotiated and as long as it is received. */
  receiving(mid: string): MediaStreamTrack | undefined {
    const transceiver = this.pc.getTransceivers().find((t) => t.mid === mid);
    const direction = transceiver?.currentDirection;
    return direction === 'recvonly' || direction === 'sendrecv' ? transceiver?.receiver.track : undefined;
  }

  /** The published track on `mid`. */
  sentOn(mid: string): LocalTrack | undefined {
    return this.#senders.on(mid);
  }

  /** Handles frames about the session; true when `frame` was one. */
  receive(frame: ServerFrame): boolean {
    if (frame.type === 'offer') this.#negotiator.receiveOffer(frame);
    else if (frame.type === 'answer') this.#negotiator.receiveAnswer(frame);
    else if (frame.type === 'ice-candidate') this.#negotiator.receiveCandidate(frame);
    else if (frame.type === 'send-layers') this.#senders.watch(frame.mid, frame.rids);
    else if (frame.type === 'error') return this.#receiveError(frame);
    else return false;
    return true;
  }

  /** New credentials for allocations made from now on; those that exist go on with theirs. */
  refreshCredentials(credentials: TurnCredentials): void {
    this.pc.setConfiguration(this.#configuration(credentials));
  }

  /** The socket is gone: no ICE restart can be negotiated until it comes back. */
  suspend(): void {
    this.#suspended = true;
    this.#broken = this.#phase === 'restarting' || this.#phase === 'disconnected';
    this.#watch?.cancel();
  }

  /** The socket came back for the same peer. */
  resume(): void {
    this.#suspended = false;
    this.#restarts = 0;
    this.#negotiator.resume();
    if (this.#broken) this.#recover(this.#mediaError('the media path broke with the socket'));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.cancel();
    this.#flowTimer?.cancel();
    this.#senders.close();
    this.#negotiator.close();
    this.pc.onicecandidate = null;
    this.pc.onicecandidateerror = null;
    this.pc.oniceconnectionstatechange = null;
    this.pc.onconnectionstatechange = null;
    this.pc.ontrack = null;
    this.pc.ondatachannel = null;
    this.pc.close();
  }

  #configuration(credentials: TurnCredentials | undefined): RTCConfiguration {
    this.#credentials = credentials;
    this.#hasFallback = hasFallback(credentials, this.#path);
    return {
      iceServers: iceServersOf(credentials, this.#path),
      iceTransportPolicy: this.#forceRelay ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
    };
  }

  #onStable(side: 'offerer' | 'answerer'): void {
    if (this.#phase === 'new') this.#enter(this.#hasFallback ? 'connecting-udp' : 'connecting');
    if (side === 'offerer') this.#senders.settle();
    this.#handlers.onReceiversChanged();
  }

  #receiveError(frame: ServerFrameOf<'error'>): boolean {
    const code = EXPLANATIONS[frame.code];
    if (!code) return this.#negotiator.receiveError(frame);
    // The answer that it explains came just before and may not be applied yet.
    this.#negotiator.afterwards(() => {
      const explained = this.#senders.explain(new ClientError(code, frame.message, { hint: frame.hint }));
      if (!explained) this.#handlers.onUnrelatedError(frame);
    });
    return true;
  }

  #onStateChange(): void {
    const { iceConnectionState, connectionState } = this.pc;
    const isWorking = iceConnectionState === 'connected' || iceConnectionState === 'completed';
    // Of the path before a restart.
    if (this.#phase === 'restarting' && !isWorking) return;
    if (iceConnectionState === 'failed') this.#recover(this.#mediaError('no working media path to the server'));
    else if (connectionState === 'failed') this.#fail(this.#mediaError('the media encryption could not be set up'));
    else if (iceConnectionState === 'disconnected') this.#enter('disconnected');
    else if (connectionState === 'connected') this.#enter('connected');
    else if (isWorking) this.#enter('handshake');
  }

  #enter(phase: keyof typeof PHASES | 'connected'): void {
    if (phase === this.#phase) return;
    // Of the silence before a restart nothing is to be concluded.
    if (this.#phase === 'restarting') this.#flow = new FlowWatch();
    this.#phase = phase;
    this.#watch?.cancel();
    if (phase === 'connected') {
      this.#wasConnected = true;
      this.#restarts = 0;
      this.#broken = false;
      this.#flowTimer ??= this.#clock.every(FLOW_POLL_MS, () => void this.#pollFlow());
      this.#handlers.onConnected();
    } else {
      const { limitMs, problem } = PHASES[phase];
      this.#watch = this.#clock.after(limitMs, () => {
        if (phase === 'disconnected') this.#doubt(limitMs);
        else this.#recover(this.#mediaError(problem));
      });
    }
  }

  /**
   * Firefox calls a path disconnected after one lost check, until the next one is answered, seconds later: on a path that
   * loses packets that says little, and what flows says more. A path that is broken one way is sought anew.
   */
  #doubt(waitedMs: number): void {
    const { proof } = this.#flow;
    if (proof === 'both-ways' || (proof === 'inwards' && waitedMs < UNANSWERED_MS)) {
      this.#watch = this.#clock.after(FLOW_POLL_MS, () => this.#doubt(waitedMs + FLOW_POLL_MS));
    } else {
      this.#recover(this.#mediaError(PHASES.disconnected.problem));
    }
  }

  /**
   * Looks for another path in the same session (RFC 9429 section 4.1.18): the others in the room see nobody leave.
   * UDP alone that did not do is followed by everything there is.
   */
  #recover(error: ClientError): void {
    if (this.#closed) return;
    this.#broken = true;
    if (this.#suspended) return;
    const isHopeless = !this.#wasConnected && !this.#hasFallback;
    if (isHopeless || this.#phase === 'handshake' || ++this.#restarts > MAX_RESTARTS) {
      this.#fail(error);
      return;
    }
    if (this.#hasFallback && (!this.#wasConnected || this.#restarts > 1)) {
      this.#path = 'any';
      this.pc.setConfiguration(this.#configuration(this.#credentials));
    }
    this.#handlers.onRestart(error);
    this.#flow = new FlowWatch();
    this.#phase = 'new';
    this.#enter('restarting');
    this.pc.restartIce();
    this.#negotiator.request();
  }

  async #pollFlow(): Promise<void> {
    const stats = await this.pc.getStats().catch(() => undefined);
    if (!stats || this.#closed) return;
    const report = stats as unknown as Iterable<[string, unknown]>;
    this.#receivers.adapt(report);
    const isDead = this.#flow.isDead(readFlow(report));
    if (this.#suspended) return;
    // A browser that had not noticed the loss of the path does not tell of the next one either.
    if (this.#phase === 'restarting') {
      if (this.#flow.isFlowing && this.pc.connectionState === 'connected') this.#enter('connected');
    } else if (isDead) {
      this.#recover(this.#mediaError('the media path went silent'));
    }
  }

  #mediaError(what: string): ClientError {
    const hint = this.#iceError ?? 'a firewall may block UDP and TCP to the TURN server';
    return new ClientError('media_failed', what, { hint });
  }

  #fail(error: ClientError): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onFailed(error, this.#wasConnected);
  }
}
