import { once } from 'node:events';
import {
  type ClientFrame,
  type ClientFrameOf,
  type ServerFrame,
  type ServerFrameOf,
  type SfuTicket,
  serverFrameSchema,
} from '@orama/protocol';
import type { WebSocket } from 'ws';
import { type ChannelMessage, type ChannelReliability, RtcChannel } from '../rtc/channel.ts';
import { RtcConnection } from '../rtc/connection.ts';
import type { NativeTrack } from '../rtc/native-track.ts';
import { isRtcp, RtpView, readRtp } from '../rtp/header.ts';
import type { RtcpPacket } from '../rtp/rtcp/packets.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { RunningSfu } from './running-sfu.ts';

const WAIT_MS = 30_000;

/** Waits until `check` answers something true; a condition, not a time. */
export async function until<T>(
  what: string,
  check: () => T | undefined | null | false | Promise<T | undefined | null | false>,
): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface SentTrack {
  mid: string;
  kind: 'audio' | 'video';
  ssrc: number;
  codec?: { name: string; payloadType: number; fmtp?: string };
  /** Further ones that it may send. */
  otherCodecs?: { name: string; payloadType: number }[];
  source?: string;
  /** Simulcast layers from the smallest up, named by rid, with their SSRCs; each next SSRC is that of its retransmissions. */
  layers?: { rid: string; ssrc: number }[];
}

/** A packet as a subscriber got it. */
export interface ReceivedPacket {
  sequence: number;
  timestamp: number;
  ssrc: number;
  payloadType: number;
  marker: boolean;
  payload: Buffer;
}

/** A data channel that the server opened to us, and what came on it. */
export interface ReceivedChannel {
  channel: RtcChannel;
  messages: ChannelMessage[];
  closed: boolean;
}

/** A client made of a WebSocket and a libdatachannel connection; it answers offers and keeps what it gets. */
export class TestPeer {
  readonly socket: WebSocket;
  readonly connection: RtcConnection;
  readonly frames: ServerFrame[] = [];
  readonly states: string[] = [];
  /** RTP by mid. */
  readonly received = new Map<string, ReceivedPacket[]>();
  /** RTCP by mid. */
  readonly control = new Map<string, RtcpPacket[]>();
  readonly channels: ReceivedChannel[] = [];
  readonly faults: unknown[] = [];
  closed: { code: number; reason: string } | null = null;
  /** Offers of the server are left unanswered while false. */
  answersOffers = true;
  /** Video codecs it cannot decode: it refuses their m-lines, as a browser does. */
  refusedCodecs: string[] = [];
  #sent = new Map<string, SentTrack>();
  #ended = false;

  constructor(socket: WebSocket, address = '127.82.255.254') {
    this.socket = socket;
    this.connection = new RtcConnection(
      { name: 'test', address },
      {
        onState: (state) => this.states.push(state),
        onTrack: (track) => this.#listen(track),
        onChannel: (channel) => this.channels.push(collect(channel)),
        onFault: (thrown) => this.faults.push(thrown),
      },
    );
    socket.on('message', (data: Buffer) => this.#receive(serverFrameSchema.parse(JSON.parse(data.toString()))));
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on('error', () => {});
  }

  /** Opens a socket and joins. @throws Error when the server closes the socket instead */
  static async join(
    sfu: RunningSfu,
    ticket: Partial<SfuTicket> = {},
    join: Partial<ClientFrameOf<'join'>> = {},
  ): Promise<TestPeer> {
    const peer = new TestPeer(sfu.connect(ticket));
    await once(peer.socket, 'open');
    peer.send({ type: 'join', ...join });
    await until('the welcome', () => peer.closed ?? peer.welcome);
    if (peer.closed) throw new Error(`refused with ${peer.closed.code}: ${peer.closed.reason}`);
    return peer;
  }

  get welcome(): ServerFrameOf<'welcome'> {
    return this.frames.find((frame) => frame.type === 'welcome') as ServerFrameOf<'welcome'>;
  }

  get id(): string {
    return this.welcome.peerId;
  }

  send(frame: ClientFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** The first frame of a type that `accept` likes, now or later. */
  next<T extends ServerFrame['type']>(
    type: T,
    accept: (frame: ServerFrameOf<T>) => boolean = () => true,
  ): Promise<ServerFrameOf<T>> {
    return until(`a "${type}" frame`, () =>
      this.frames.find((frame): frame is ServerFrameOf<T> => frame.type === type && accept(frame as ServerFrameOf<T>)),
    );
  }

  /** Adds tracks and offers them; resolves when packets can be sent. */
  async publish(...tracks: SentTrack[]): Promise<void> {
    this.offer(...tracks);
    await until('published tracks to open', () => tracks.every(({ mid }) => this.connection.track(mid)?.isOpen));
  }

  /** Adds tracks and sends the offer without waiting. */
  offer(...tracks: SentTrack[]): void {
    for (const track of tracks) {
      this.#sent.set(track.mid, track);
      const codec =
        track.codec ?? (track.kind === 'audio' ? { name: 'opus', payloadType: 111 } : { name: 'VP8', payloadType: 96 });
      const { mid, kind, ssrc, layers = [] } = track;
      const ssrcs = layers.length > 0 ? layers.flatMap((layer) => [layer.ssrc, layer.ssrc + 1]) : [ssrc];
      this.#listen(
        this.connection.sendTrack({ mid, kind, ssrcs, cname: 'test', streamId: 'stream', trackId: mid, codec }),
      );
    }
    this.send({
      type: 'offer',
      sdp: withMore(this.connection.createLocal('offer'), this.#sent),
      tracks: [...this.#sent.values()].map(({ mid, source }) => ({ mid, ...(source ? { source } : {}) })),
    });
  }

  /**
   * Opens a data channel and resolves when it is open.
   * @param protocol what its protocol field says to the server
   */
  async openChannel(
    label: string,
    protocol = '',
    reliability: Partial<ChannelReliability> = {},
  ): Promise<ReceivedChannel> {
    const channel = new RtcChannel(label, protocol, (thrown) => this.faults.push(thrown));
    const opened = collect(channel);
    this.connection.openChannel(channel, { ordered: true, ...reliability });
    if (!this.frames.some((frame) => frame.type === 'answer' && frame.sdp.includes('m=application'))) this.offer();
    await until(`the channel ${label} to open or close`, () => opened.channel.isOpen || opened.closed);
    return opened;
  }

  /** The copy of a channel that another peer opened, once it has come. */
  channelFrom(peerId: string, label: string): Promise<ReceivedChannel> {
    return until(`a channel ${label}`, () =>
      this.channels.find(
        ({ channel }) => channel.label === label && new URLSearchParams(channel.protocol).get('from') === peerId,
      ),
    );
  }

  /** Sends one packet on a published track. */
  sendPacket(
    mid: string,
    sequence: number,
    options: {
      timestamp?: number;
      payload?: Buffer;
      marker?: boolean;
      ssrc?: number;
      payloadType?: number;
      audioLevel?: number;
    } = {},
  ): void {
    const track = this.#sent.get(mid) as SentTrack;
    const packet = rtpPacket({
      payloadType: options.payloadType ?? track.codec?.payloadType ?? (track.kind === 'audio' ? 111 : 96),
      ssrc: options.ssrc ?? track.ssrc,
      sequence,
      timestamp: options.timestamp ?? sequence * 3_000,
      marker: options.marker ?? true,
      payload: options.payload ?? VP8_DELTA,
      audioLevel: options.audioLevel,
    });
    if (!this.connection.track(mid)?.send(packet)) throw new Error(`packet ${sequence} was not sent`);
  }

  /** The announcement of another peer's track. */
  trackOf(peerId: string, kind: 'audio' | 'video', source?: string): Promise<ServerFrameOf<'track-added'>> {
    return this.next(
      'track-added',
      (frame) => frame.peerId === peerId && frame.kind === kind && (source === undefined || frame.source === source),
    );
  }

  /** What came on an m-line. */
  packets(mid: string): ReceivedPacket[] {
    return this.received.get(mid) ?? [];
  }

  rtcp<T extends RtcpPacket['type']>(mid: string, type: T): Extract<RtcpPacket, { type: T }>[] {
    return (this.control.get(mid) ?? []).filter(
      (packet): packet is Extract<RtcpPacket, { type: T }> => packet.type === type,
    );
  }

  /** Leaves. */
  end(): Promise<void> {
    return this.#finish(() => this.socket.close(1000));
  }

  /** Answers an offer of the server. */
  answer(offer: string): void {
    this.connection.setRemote('offer', offer);
    this.send({ type: 'answer', sdp: refusing(this.connection.createLocal('answer'), this.refusedCodecs) });
  }

  /** Ends without a word to the server, as a lost network does. */
  drop(): Promise<void> {
    return this.#finish(() => this.socket.terminate());
  }

  async #finish(close: () => void): Promise<void> {
    this.#ended = true;
    this.connection.close();
    if (this.socket.readyState !== this.socket.CLOSED) close();
    await until('the socket to close', () => this.closed);
  }

  #receive(frame: ServerFrame): void {
    this.frames.push(frame);
    if (this.#ended) return;
    if (frame.type === 'ice-candidate') this.connection.addCandidate(frame.candidate, frame.sdpMid ?? '');
    if (frame.type === 'answer') this.connection.setRemote('answer', frame.sdp);
    // The impolite side: an offer that crosses ours is ignored, the server makes it again.
    if (frame.type === 'offer' && this.answersOffers && this.connection.isStable) this.answer(frame.sdp);
  }

  #listen(track: NativeTrack): void {
    track.onPacket = (packet) => {
      if (isRtcp(packet)) {
        this.control.set(track.mid, [...(this.control.get(track.mid) ?? []), ...parseRtcp(packet)]);
        return;
      }
      const view = new RtpView();
      if (!readRtp(packet, view)) return;
      const { sequence, timestamp, ssrc, payloadType, marker } = view;
      const payload = Buffer.from(packet.subarray(view.payloadStart, view.payloadEnd));
      this.received.set(track.mid, [
        ...this.packets(track.mid),
        { sequence, timestamp, ssrc, payloadType, marker, payload },
      ]);
    };
  }
}

function collect(channel: RtcChannel): ReceivedChannel {
  const received: ReceivedChannel = { channel, messages: [], closed: false };
  channel.onMessage = (message) => received.messages.push(message);
  channel.onClosed = () => {
    received.closed = true;
  };
  return received;
}

/** The description with what libdatachannel does not write: simulcast layers, further codecs, and audio levels. */
function withMore(sdp: string, tracks: ReadonlyMap<string, SentTrack>): string {
  return eachSection(sdp, (section) => {
    const { layers = [], otherCodecs = [] } = tracks.get(/^a=mid:(.*)$/m.exec(section)?.[1]?.trim() ?? '') ?? {};
    const lines = [
      ...(section.startsWith('m=audio') ? ['a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level'] : []),
      ...otherCodecs.map(({ name, payloadType }) => `a=rtpmap:${payloadType} ${name}/90000`),
      ...layers.map(({ rid }) => `a=rid:${rid} send`),
      ...layers.map(({ ssrc }) => `a=ssrc-group:FID ${ssrc} ${ssrc + 1}`),
      ...(layers.length > 0 ? [`a=simulcast:send ${layers.map(({ rid }) => rid).join(';')}`] : []),
    ];
    const payloadTypes = otherCodecs.map(({ payloadType }) => ` ${payloadType}`).join('');
    return section.replace(/^(m=.*)/, `$1${payloadTypes}`) + lines.map((line) => `${line}\r\n`).join('');
  });
}

function refusing(sdp: string, codecs: readonly string[]): string {
  return eachSection(sdp, (section) =>
    codecs.some((codec) => section.includes(` ${codec}/90000`))
      ? section.replace(/^m=video \d+/, 'm=video 0')
      : section,
  );
}

function eachSection(sdp: string, change: (section: string) => string): string {
  const [session = '', ...sections] = sdp.split(/^(?=m=)/m);
  return session + sections.map(change).join('');
}

/** VP8 payload descriptor (start of partition 0) and a frame header with the key frame bit as wanted. */
export const VP8_KEY = Buffer.from([0x10, 0x00, 1, 2, 3, 4]);
export const VP8_DELTA = Buffer.from([0x10, 0x01, 1, 2, 3, 4]);

/** An RTP packet of the plainest kind. */
export function rtpPacket(fields: {
  payloadType: number;
  ssrc: number;
  sequence: number;
  timestamp: number;
  marker: boolean;
  payload: Buffer;
  /** In dB under the loudest (RFC 6464), as element 1. */
  audioLevel?: number | undefined;
}): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = fields.payloadType | (fields.marker ? 0x80 : 0);
  header.writeUInt16BE(fields.sequence & 0xffff, 2);
  header.writeUInt32BE(fields.timestamp >>> 0, 4);
  header.writeUInt32BE(fields.ssrc, 8);
  if (fields.audioLevel === undefined) return Buffer.concat([header, fields.payload]);
  header[0] = 0x90;
  const level = Buffer.from([0xbe, 0xde, 0, 1, 0x10, fields.audioLevel, 0, 0]);
  return Buffer.concat([header, level, fields.payload]);
}
