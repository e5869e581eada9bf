import type { ServerFrame } from '@orama/protocol';
import { type NativeTrack, RtcConnection } from '@orama/sfu/rtc';
import { candidateOf, TurnBridge, withoutCandidates } from '@orama/turn/bridge';
import { buildNumberedPacket, type MediaKind, readNumberedPacket } from '../rtp/numbered.ts';
import { waitFor } from '../wait.ts';
import { SignallingClient, type SignallingTarget } from './signalling.ts';

export interface SyntheticPeerOptions extends SignallingTarget {
  name: string;
  /** Transport between the peer and its TURN server. */
  transport: 'udp' | 'tcp';
  /** Asks all TURN servers at once and takes the first that answers; else the first named. */
  anyServer?: boolean;
  /** Loopback address the peer itself lives on; never that of an SFU. */
  localAddress: string;
}

interface Stream {
  kind: MediaKind;
  track: NativeTrack;
  ssrc: number;
  payloadType: number;
  ticksPerPacket: number;
  intervalMs: number;
  sent: number;
  keyFrameWanted: boolean;
}

const STREAMS = [
  {
    kind: 'audio',
    mid: 'a0',
    ssrc: 1111,
    name: 'opus',
    payloadType: 111,
    fmtp: 'minptime=10;useinbandfec=1',
    ticksPerPacket: 960,
    intervalMs: 20,
  },
  {
    kind: 'video',
    mid: 'v0',
    ssrc: 2222,
    name: 'VP8',
    payloadType: 96,
    fmtp: '',
    ticksPerPacket: 4_500,
    intervalMs: 50,
  },
] as const;
interface Arrivals {
  /** Numbers in order of arrival. */
  readonly numbers: number[];
  /** RTP packets of any payload. */
  packets: number;
}

/** Packet types of RTCP where both share a port (RFC 5761). */
const RTCP_FIRST = 192;
const RTCP_LAST = 223;
const RTCP_PAYLOAD_FEEDBACK = 206;
const FEEDBACK_PLI = 1;

/**
 * A peer without a browser: it signals through a gateway, reaches the SFU by a TURN allocation of its own and by
 * nothing else, sends numbered packets and keeps the numbers that it receives.
 */
export class SyntheticPeer {
  readonly signalling: SignallingClient;
  /** From sending the offer to connected media: ICE and DTLS. */
  setupMs = Number.NaN;
  /** What comes on an m-line, by its mid: of the track that is on it now. */
  readonly #arrivals = new Map<string, Arrivals>();
  /** What came of each track that was announced, by its id. An m-line is used again, for another peer's track, when one has gone. */
  readonly #heard = new Map<string, { peerId: string; kind: MediaKind; mid: string; arrivals: Arrivals }>();
  #connection: RtcConnection | undefined;
  #bridge: TurnBridge | undefined;
  #streams: Stream[] = [];
  #timers: NodeJS.Timeout[] = [];
  #handled = 0;
  #fault: unknown;
  #state = 'new';

  private constructor(signalling: SignallingClient) {
    this.signalling = signalling;
  }

  /** Joins, publishes audio and video, and resolves when media is connected. */
  static async join(options: SyntheticPeerOptions): Promise<SyntheticPeer> {
    const peer = new SyntheticPeer(await SignallingClient.open(options));
    try {
      await peer.#join(options);
    } catch (thrown) {
      await peer.close();
      throw thrown;
    }
    return peer;
  }

  /** What ended its connection from within: an offer that it cannot take, a relay that is gone. */
  get fault(): unknown {
    return this.#fault;
  }

  /** Transport address of the relay: what the SFU sees of this peer. */
  get relayed(): { address: string; port: number } | undefined {
    return this.#bridge?.relayed;
  }

  /** The peer's id in its room. */
  get peerId(): string {
    const welcome = this.signalling.frames.find((frame) => frame.type === 'welcome');
    return welcome?.type === 'welcome' ? welcome.peerId : '';
  }

  /** How many packets of a kind were sent so far. */
  sent(kind: MediaKind): number {
    return this.#streams.find((stream) => stream.kind === kind)?.sent ?? 0;
  }

  /** Numbers received of another peer's track of a kind, once it is announced. */
  receivedOf(peerId: string, kind: MediaKind): number[] {
    return this.#arrivalsOf(peerId, kind).flatMap(({ numbers }) => numbers);
  }

  /** How many RTP packets of any payload came of another peer's tracks of a kind. */
  packetsOf(peerId: string, kind: MediaKind): number {
    return this.#arrivalsOf(peerId, kind).reduce((sum, { packets }) => sum + packets, 0);
  }

  /** Leaves; every socket and timer of the peer is closed afterwards. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    if (this.signalling.socket.readyState === 1) this.signalling.send({ type: 'leave' });
    this.#connection?.close();
    await this.#bridge?.close();
    await this.signalling.close();
  }

  async #join({ name, transport, anyServer = false, localAddress }: SyntheticPeerOptions): Promise<void> {
    this.signalling.send({ type: 'join', name });
    const credentials = await this.signalling.next('turn-credentials');
    this.#bridge = await TurnBridge.open({
      ...{ credentials, transport, anyServer, localAddress },
      onBroken: (thrown) => {
        this.#fault = thrown;
      },
    });
    let offeredAt = Number.NaN;
    this.#connection = new RtcConnection(
      { name, address: localAddress },
      {
        onState: (state) => {
          this.#state = state;
          if (state === 'connected') this.setupMs = performance.now() - offeredAt;
        },
        onTrack: (track) => this.#receive(track),
        onCandidate: (candidate) => this.#bridge?.expectPeer(candidateOf(candidate)?.port as number),
        onFault: (thrown) => {
          this.#fault = thrown;
        },
      },
    );
    this.#streams = STREAMS.map((stream) => this.#addStream(this.#connection as RtcConnection, stream));
    offeredAt = performance.now();
    this.signalling.send({
      type: 'offer',
      sdp: withoutCandidates(this.#connection.createLocal('offer')),
      tracks: STREAMS.map(({ mid, kind }) => ({ mid, source: kind === 'audio' ? 'microphone' : 'camera' })),
    });
    this.signalling.send({ type: 'ice-candidate', candidate: this.#bridge.candidate, sdpMid: STREAMS[0].mid });
    this.signalling.onFrame(() => this.#handleFrames());
    this.#handleFrames();
    await waitFor(`${name} to be connected`, () => {
      if (this.#fault) throw this.#fault;
      return this.#state === 'connected' || Promise.reject(new Error(`state ${this.#state}`));
    });
    for (const stream of this.#streams) {
      stream.track.whenOpen(() => this.#timers.push(setInterval(() => this.#send(stream), stream.intervalMs)));
    }
  }

  #addStream(connection: RtcConnection, options: (typeof STREAMS)[number]): Stream {
    const { kind, mid, ssrc, name, payloadType, fmtp, ticksPerPacket, intervalMs } = options;
    const track = connection.sendTrack({
      ...{ mid, kind, ssrcs: [ssrc], cname: 'synthetic', streamId: 'synthetic', trackId: mid },
      codec: { name, payloadType, ...(fmtp === '' ? {} : { fmtp }) },
    });
    const stream = { kind, track, ssrc, payloadType, ticksPerPacket, intervalMs, sent: 0, keyFrameWanted: true };
    track.onPacket = (packet) => {
      if (packet[1] === RTCP_PAYLOAD_FEEDBACK && ((packet[0] ?? 0) & 0x1f) === FEEDBACK_PLI)
        stream.keyFrameWanted = true;
    };
    return stream;
  }

  #send(stream: Stream): void {
    const packet = buildNumberedPacket({
      kind: stream.kind,
      ssrc: stream.ssrc,
      payloadType: stream.payloadType,
      sequenceNumber: stream.sent & 0xffff,
      timestamp: stream.sent * stream.ticksPerPacket,
      number: stream.sent,
      keyFrame: stream.keyFrameWanted,
    });
    if (!stream.track.send(packet)) return;
    stream.sent += 1;
    stream.keyFrameWanted = false;
  }

  #arrivalsOf(peerId: string, kind: MediaKind): Arrivals[] {
    return [...this.#heard.values()]
      .filter((track) => track.peerId === peerId && track.kind === kind)
      .map(({ arrivals }) => arrivals);
  }

  #arrivalsOn(mid: string): Arrivals {
    const known = this.#arrivals.get(mid);
    if (known) return known;
    const arrivals = { numbers: [], packets: 0 };
    this.#arrivals.set(mid, arrivals);
    return arrivals;
  }

  #receive(track: NativeTrack): void {
    track.onPacket = (packet) => {
      const type = packet[1] ?? 0;
      if (type >= RTCP_FIRST && type <= RTCP_LAST) return;
      const arrivals = this.#arrivalsOn(track.mid);
      arrivals.packets += 1;
      const read = readNumberedPacket(packet);
      if (read) arrivals.numbers.push(read.number);
    };
  }

  #handleFrames(): void {
    for (; this.#handled < this.signalling.frames.length; this.#handled += 1) {
      try {
        this.#handle(this.signalling.frames[this.#handled] as ServerFrame);
      } catch (thrown) {
        this.#fault = thrown;
      }
    }
  }

  #handle(frame: ServerFrame): void {
    if (frame.type === 'track-added') {
      const { peerId, kind, mid, trackId } = frame;
      this.#heard.set(trackId, { peerId, kind, mid, arrivals: this.#arrivalsOn(mid) });
    } else if (frame.type === 'track-removed') {
      const gone = this.#heard.get(frame.trackId);
      if (gone) this.#arrivals.delete(gone.mid);
    }
    const [connection, bridge] = [this.#connection, this.#bridge];
    if (!connection || !bridge) return;
    if (frame.type === 'answer') {
      connection.setRemote('answer', bridge.redirected(frame.sdp));
    } else if (frame.type === 'offer') {
      // The SFU gives way: an offer that crosses ours is sent again.
      if (!connection.isStable) return;
      connection.setRemote('offer', bridge.redirected(frame.sdp));
      this.signalling.send({ type: 'answer', sdp: withoutCandidates(connection.createLocal('answer')) });
    } else if (frame.type === 'ice-candidate' && frame.candidate !== '') {
      connection.addCandidate(bridge.redirect(frame.candidate), frame.sdpMid ?? STREAMS[0].mid);
    }
  }
}
