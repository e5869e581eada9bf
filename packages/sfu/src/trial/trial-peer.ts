import { OramaError, systemClock, type Timer } from '@orama/core';
import {
  type ClientFrame,
  type ServerFrame,
  SIGNALLING_CLOSE,
  serverFrameSchema,
  type TurnCredentials,
} from '@orama/protocol';
import type { MediaWay } from '../record/receiver.ts';
import { RtcConnection } from '../rtc/connection.ts';
import type { NativeTrack } from '../rtc/native-track.ts';
import { isRtcp } from '../rtp/header.ts';
import { PACKET_INTERVAL_MS, SILENCE_CODEC, Silence } from './silence.ts';

const MID = 'a0';
/** The server ends, or the proxy before it begins anew (RFC 6455, 7.4.1). */
const GOING_AWAY = 1001;

export interface TrialPeerOptions {
  /** Base URL of a gateway, http or https. */
  gateway: string;
  apiKey: string;
  room: string;
  /** Shown to the others in the room. */
  name: string;
  /** Opens a way through the namespace's TURN servers. Rejects with an OramaError when there is none. */
  openWay: (credentials: TurnCredentials, onBroken: (thrown: unknown) => void) => Promise<MediaWay>;
  /** Ends the attempt to join. */
  signal: AbortSignal;
}

/** A peer that sends silence through TURN and the SFU, and counts what of another such peer arrives. */
export class TrialPeer {
  readonly #options: TrialPeerOptions;
  readonly #socket: WebSocket;
  readonly #sent = new Silence();
  readonly #joined = Promise.withResolvers<void>();
  readonly #startedMs = performance.now();
  #setupMs = Number.NaN;
  /** The stage that it is at, for who asks why nothing comes. */
  #stage = 'connecting to the gateway';
  #other: Silence | null = null;
  #received = 0;
  #way: MediaWay | null = null;
  #connection: RtcConnection | null = null;
  #timer: Timer | null = null;

  private constructor(options: TrialPeerOptions) {
    this.#options = options;
    const { gateway, room, apiKey, name } = options;
    const url = new URL('/v1/webrtc/signal', gateway.replace(/^http/, 'ws'));
    url.searchParams.set('room', room);
    this.#socket = new WebSocket(url, { headers: { 'x-api-key': apiKey } });
    let handled = Promise.resolve();
    this.#socket.onopen = () => {
      this.#stage = 'joining the room';
      this.#send({ type: 'join', name, channels: false });
    };
    this.#socket.onerror = () => this.#fail(new Error('the gateway is not reached'));
    this.#socket.onclose = ({ code, reason }) =>
      this.#fail(
        new OramaError('UNAVAILABLE', `the gateway closed: ${reason || code}`, { retryable: code === GOING_AWAY }),
      );
    this.#socket.onmessage = ({ data }) => {
      // One after the other: an answer may overtake the connection that it is for.
      handled = handled
        .then(() => this.#handle(serverFrameSchema.parse(JSON.parse(String(data)))))
        .catch((thrown: unknown) => this.#fail(thrown));
    };
  }

  /**
   * Joins, and resolves when its media is connected. Throws OramaError saying at which stage it ended, retryable where the
   * server went away.
   */
  static async join(options: TrialPeerOptions): Promise<TrialPeer> {
    const peer = new TrialPeer(options);
    const abort = () => {
      const { reason } = options.signal;
      peer.#fail((reason as Error).name === 'TimeoutError' ? new Error('nothing more came in time') : reason);
    };
    options.signal.addEventListener('abort', abort, { once: true });
    if (options.signal.aborted) abort();
    try {
      await peer.#joined.promise;
      return peer;
    } catch (thrown) {
      await peer.close();
      throw thrown;
    } finally {
      options.signal.removeEventListener('abort', abort);
    }
  }

  /** Milliseconds from the first step to connected media. */
  get setupMs(): number {
    return this.#setupMs;
  }

  /** Packets sent. */
  get sent(): number {
    return this.#sent.count;
  }

  /** Packets of the peer that is listened to. */
  get received(): number {
    return this.#received;
  }

  /** Counts the packets of another peer. */
  listenTo(other: TrialPeer): void {
    this.#other = other.#sent;
  }

  /** Leaves; every socket and timer is closed afterwards. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    const socket = this.#socket;
    socket.onopen = socket.onclose = socket.onerror = socket.onmessage = null;
    this.#send({ type: 'leave' });
    socket.close(SIGNALLING_CLOSE.normal);
    this.#connection?.close();
    await this.#way?.close();
  }

  async #handle(frame: ServerFrame): Promise<void> {
    switch (frame.type) {
      case 'welcome':
        this.#stage = 'waiting for TURN credentials';
        break;
      case 'turn-credentials':
        // Later ones are fresh credentials for what goes on.
        if (!this.#way) await this.#connect(frame);
        break;
      case 'answer':
        this.#connection?.setRemote('answer', this.#way?.redirected(frame.sdp) ?? frame.sdp);
        break;
      case 'offer':
        this.#answer(frame.sdp);
        break;
      case 'ice-candidate':
        if (frame.candidate !== '' && this.#way)
          this.#connection?.addCandidate(this.#way.redirect(frame.candidate), frame.sdpMid ?? MID);
        break;
      case 'error':
        throw new Error(frame.message);
    }
  }

  async #connect(credentials: TurnCredentials): Promise<void> {
    this.#stage = 'getting a TURN allocation';
    const way = await this.#options.openWay(credentials, (thrown) => this.#fail(thrown));
    this.#way = way;
    this.#stage = 'connecting media to the SFU through TURN';
    this.#connection = new RtcConnection(
      { name: this.#options.name, address: way.local.address },
      {
        onState: (state) => this.#onState(state),
        onTrack: (track) => this.#listen(track),
        onCandidate: (candidate) => way.expectPeer(Number(candidate.split(' ')[5])),
        onFault: (thrown) => this.#fail(thrown),
      },
    );
    const track = this.#connection.sendTrack({
      ...{ mid: MID, kind: 'audio', ssrcs: [this.#sent.ssrc], cname: 'trial', streamId: 'trial', trackId: MID },
      codec: SILENCE_CODEC,
    });
    track.whenOpen(() => {
      this.#timer = systemClock.every(PACKET_INTERVAL_MS, () => void track.send(this.#sent.next()));
    });
    const sdp = withoutCandidates(this.#connection.createLocal('offer'));
    this.#send({ type: 'offer', sdp, tracks: [{ mid: MID, source: 'microphone' }] });
    this.#send({ type: 'ice-candidate', candidate: way.candidate, sdpMid: MID });
  }

  #answer(offer: string): void {
    // The SFU gives way: an offer that crosses ours is sent again.
    if (!this.#connection?.isStable || !this.#way) return;
    this.#connection.setRemote('offer', this.#way.redirected(offer));
    this.#send({ type: 'answer', sdp: withoutCandidates(this.#connection.createLocal('answer')) });
  }

  #onState(state: string): void {
    if (state === 'failed' || state === 'disconnected') this.#fail(new Error('the media connection is gone'));
    if (state !== 'connected') return;
    this.#setupMs = performance.now() - this.#startedMs;
    this.#stage = 'in the call';
    this.#joined.resolve();
  }

  #listen(track: NativeTrack): void {
    track.onPacket = (packet) => {
      if (!isRtcp(packet) && this.#other?.owns(packet)) this.#received += 1;
    };
  }

  #fail(thrown: unknown): void {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const { hint, retryable = false }: { hint?: string | undefined; retryable?: boolean } =
      thrown instanceof OramaError ? thrown : {};
    const options = { cause: thrown, retryable, ...(hint ? { hint } : {}) };
    this.#joined.reject(new OramaError('UNAVAILABLE', `${this.#stage}: ${why}`, options));
  }

  #send(frame: ClientFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}

/** Nobody should reach the peer but through its way. */
function withoutCandidates(sdp: string): string {
  return sdp.replaceAll(/^a=(?:candidate:.*|end-of-candidates)\r?\n/gm, '');
}
