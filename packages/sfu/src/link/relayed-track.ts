import type { LinkFrameOf } from '@orama/protocol';
import type { MediaCounters } from '../media/counters.ts';
import type { Downlink } from '../media/downlink.ts';
import type { Encoding } from '../media/encoding.ts';
import type { PacketSink } from '../media/packet-sink.ts';
import type { Publication } from '../media/publication.ts';
import { isRtcp, type RtpView } from '../rtp/header.ts';
import { parseRtcp } from '../rtp/rtcp/parse.ts';
import type { LinkMedia } from './link-media.ts';
import { RelayedStream } from './relayed-stream.ts';

/** A track on its way to another SFU: each of its encodings as a stream of its own, once, however many watch it there. */
export class RelayedTrack implements PacketSink {
  readonly publication: Publication;
  readonly #media: LinkMedia;
  readonly #streams: RelayedStream[];

  constructor(publication: Publication, media: LinkMedia, downlink: Downlink, counters: MediaCounters) {
    this.publication = publication;
    this.#media = media;
    const { trackId, kind, peerId: cname, encodings } = publication;
    const track = media.send(trackId, kind, []);
    const needKeyFrame = (encoding: Encoding) => publication.requestKeyFrame(encoding, performance.now());
    this.#streams = encodings.map(
      (encoding) => new RelayedStream({ encoding, track, cname, downlink, counters, needKeyFrame }),
    );
    media.send(trackId, kind, this.#ssrcs);
    track.onPacket = (packet) => this.#receive(packet);
    // Sound costs little, and who speaks is found out at every SFU by itself.
    if (kind === 'audio') for (const stream of this.#streams) stream.wanted = true;
  }

  /** How the other end is told of it. */
  get description(): LinkFrameOf<'track'> {
    const { publication } = this;
    const { codec: _codec, layers: _layers, ...info } = publication.info;
    const order = ({ encoding }: RelayedStream) => encoding.index;
    return {
      type: 'track',
      peerId: publication.peerId,
      ...info,
      muted: publication.muted,
      forced: publication.forcedMute,
      codecs: publication.codecs.map(({ feedback: _feedback, rtxPayloadType, ...codec }) => ({
        ...codec,
        ...(rtxPayloadType === undefined ? {} : { rtxPayloadType }),
      })),
      encodings: this.#streams.toSorted((a, b) => order(a) - order(b)).map(({ description }) => description),
    };
  }

  /** Sends these streams, by rid ('' for an only one), and no others. */
  setDemand(rids: readonly string[]): void {
    if (this.publication.kind === 'audio') return;
    for (const stream of this.#streams) stream.wanted = rids.includes(stream.encoding.rid ?? '');
  }

  get needed(): number {
    let needed = 0;
    for (const { wanted, encoding } of this.#streams) if (wanted) needed |= 1 << encoding.index;
    return needed;
  }

  /** The hot path. */
  forward(packet: Buffer, view: RtpView, encoding: Encoding, nowMs: number): void {
    const streams = this.#streams;
    for (let i = 0; i < streams.length; i++) {
      const stream = streams[i] as RelayedStream;
      if (stream.encoding === encoding) stream.forward(packet, view, nowMs);
    }
  }

  resynchronise(encoding: Encoding): void {
    this.#streamOf(encoding)?.resynchronise();
  }

  onSenderReport(encoding: Encoding, nowMs: number): void {
    this.#streamOf(encoding)?.synchronise(nowMs);
  }

  tick(nowMs: number): void {
    for (const stream of this.#streams) stream.tick(nowMs);
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
    this.#media.retract(this.publication.trackId, this.#ssrcs);
  }

  get #ssrcs(): number[] {
    return this.#streams.flatMap(({ ssrc, rtxSsrc }) => [ssrc, rtxSsrc]);
  }

  #streamOf(encoding: Encoding): RelayedStream | undefined {
    return this.#streams.find((stream) => stream.encoding === encoding);
  }

  #receive(datagram: Buffer): void {
    if (!isRtcp(datagram)) return;
    const nowMs = performance.now();
    for (const packet of parseRtcp(datagram, false)) for (const stream of this.#streams) stream.receive(packet, nowMs);
  }
}
