import type { Logger, Timer } from '@orama/core';
import { type LinkFrame, type LinkFrameOf, SIGNALLING_CLOSE } from '@orama/protocol';
import { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import { DataPort } from '../data/data-port.ts';
import { Downlink } from '../media/downlink.ts';
import { Publication } from '../media/publication.ts';
import type { SfuContext } from '../room/context.ts';
import type { Member } from '../room/member.ts';
import type { LeaveReason } from '../room/peer-host.ts';
import type { RtcChannel } from '../rtc/channel.ts';
import type { UplinkMedia } from '../rtc/sections.ts';
import { SAME_IDS } from '../rtp/extensions.ts';
import type { LinkSocket } from '../signalling/link-socket.ts';
import { LinkMedia } from './link-media.ts';
import { RelayedTrack } from './relayed-track.ts';

/** So long the socket has to say why the media connection ended. */
const REASON_MS = 1_000;

/** What a link hears from its other end; the frames that only concern the connection stay inside. */
export interface LinkEvents {
  onFrame: (link: RoomLink, frame: RoomFrame) => void;
  /** A track of theirs comes in another of its codecs. */
  onCodecChange: (publication: Publication) => void;
  /** Somebody there cannot decode a track that is sent there. */
  onNotDecoded: (publication: Publication) => void;
  /** A copy of a channel that somebody there opened. */
  onChannel: (link: RoomLink, channel: RtcChannel) => void;
  /** Whether a peer is connected there. */
  reaches: (link: RoomLink, peerId: string) => boolean;
  /** Called once, whoever ended it. @param code see SIGNALLING_CLOSE; 1006 where the other end is simply gone */
  onEnd: (link: RoomLink, code: number) => void;
}
export type RoomFrame = Exclude<LinkFrame, { type: 'offer' | 'answer' | 'demand' | 'not-decoded' }>;

export interface RoomLinkOptions {
  socket: LinkSocket;
  /** At the other end. */
  node: string;
  context: SfuContext;
  logger: Logger;
  events: LinkEvents;
  /** Gives the media port back. */
  releasePort: () => void;
}

/** The connection to another SFU that serves the same room: who and what is here is told there, and tracks are sent. */
export class RoomLink {
  readonly node: string;
  /** Copies of channels on their way there. */
  readonly data: DataPort;
  readonly #context: SfuContext;
  readonly #logger: Logger;
  readonly #events: LinkEvents;
  readonly #socket: LinkSocket;
  readonly #media: LinkMedia;
  readonly #releasePort: () => void;
  /** Ours on their way there, by track id. */
  readonly #sent = new Map<string, RelayedTrack>();
  /** Theirs, by track id. */
  readonly #received = new Map<string, Publication>();
  /** Codecs that somebody there cannot decode, by key. */
  readonly #undecoded = new Set<string>();
  readonly #downlink: Downlink;
  readonly #arrivals = new ArrivalRecorder();
  readonly #estimator = new ReceiveEstimator();
  #mediaLost: Timer | null = null;
  #closed = false;

  constructor(options: RoomLinkOptions) {
    const { node, context, logger, events, socket } = options;
    const { config, clock, counters } = context;
    this.node = node;
    this.#context = context;
    this.#logger = logger.child({ link: node });
    this.#events = events;
    this.#releasePort = options.releasePort;
    this.#downlink = new Downlink(counters, clock);
    this.#media = new LinkMedia(
      {
        name: `link to ${node}`,
        address: config.address,
        portStart: config.mediaPortStart,
        portEnd: config.mediaPortEnd,
      },
      {
        onChannel: (channel) => events.onChannel(this, channel),
        onEnd: () => this.#loseMedia(),
        onFault: (thrown) => {
          this.#logger.error({ err: thrown }, 'link ended by a fault of ours');
          this.close(SIGNALLING_CLOSE.moved, 'fault');
        },
      },
    );
    this.data = new DataPort({
      ...{ peerId: node, receives: true, maySend: true, isRelayed: true, clock, counters: context.channels },
      open: (label, init) => this.#media.openChannel(label, init),
      others: () => [],
      tell: () => {},
      reaches: (peerId) => events.reaches(this, peerId),
    });
    this.#socket = socket;
    socket.onFrame = (frame) => this.#receive(frame);
    socket.onEnd = (code) => this.#end(code);
  }

  /** By whoever opened the socket. */
  connect(): void {
    this.send({ type: 'offer', sdp: this.#media.offer() });
  }

  send(frame: LinkFrame): void {
    this.#socket.send(frame);
  }

  /** Tells of a peer, for the first time or again. */
  tellOf({ description, identity, node }: Member): void {
    this.send({ type: 'peer', ...description, identity, node });
  }

  tellGone({ id }: Member, reason: LeaveReason): void {
    this.send({ type: 'peer-gone', peerId: id, reason });
  }

  /** Offers a track; its packets go as far as they are asked for. */
  relay(publication: Publication): void {
    const { counters } = this.#context;
    const relayed = new RelayedTrack(publication, this.#media, this.#downlink, counters);
    this.#sent.set(publication.trackId, relayed);
    publication.addSink(relayed);
    this.send(relayed.description);
  }

  /** Tells what a track is now. */
  update({ trackId }: Publication): void {
    const relayed = this.#sent.get(trackId);
    if (relayed) this.send(relayed.description);
  }

  withdraw(publication: Publication): void {
    const { trackId } = publication;
    const relayed = this.#sent.get(trackId);
    if (!relayed) return;
    this.#sent.delete(trackId);
    publication.removeSink(relayed);
    relayed.close();
    this.send({ type: 'track-gone', trackId });
  }

  /** Whether everybody there decodes a codec, as far as it was told. */
  decodes(codecKey: string): boolean {
    return !this.#undecoded.has(codecKey);
  }

  /** Somebody here does not decode what comes from there. */
  tellNotDecoded({ trackId, codec }: Publication): void {
    this.send({ type: 'not-decoded', trackId, codec: codec.key });
  }

  /** A track of theirs, received from now on. */
  accept(frame: LinkFrameOf<'track'>): Publication {
    const { trackId, peerId, source, muted } = frame;
    const media = uplinkOf(frame);
    const publication = new Publication({
      ...{ trackId, peerId, mid: trackId, source, muted, media, relayed: true },
      ...{ arrivals: this.#arrivals, estimator: this.#estimator, counters: this.#context.counters },
      onCodecChange: (changed) => this.#events.onCodecChange(changed),
      onDemand: (_publication, rids) => this.send({ type: 'demand', trackId, rids }),
    });
    this.#received.set(trackId, publication);
    learn(publication, frame);
    publication.attach(this.#media.listen(trackId, media, ssrcsOf(frame)));
    return publication;
  }

  /** What a track of theirs is now. */
  learn(publication: Publication, frame: LinkFrameOf<'track'>): void {
    publication.renegotiate(uplinkOf(frame));
    learn(publication, frame);
  }

  /** A track of theirs is gone. */
  drop(publication: Publication): void {
    if (!this.#received.delete(publication.trackId)) return;
    this.#media.ignore(publication.trackId);
    publication.close();
  }

  /** Called every 50 ms or so. */
  tick(nowMs: number): void {
    for (const publication of this.#received.values()) publication.tick(nowMs);
    for (const relayed of this.#sent.values()) relayed.tick(nowMs);
  }

  /** Idempotent. */
  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  #receive(frame: LinkFrame): void {
    switch (frame.type) {
      case 'offer':
        this.send({ type: 'answer', sdp: this.#media.answer(frame.sdp) });
        break;
      case 'answer':
        this.#media.conclude(frame.sdp);
        break;
      case 'demand':
        this.#sent.get(frame.trackId)?.setDemand(frame.rids);
        break;
      case 'not-decoded':
        this.#notDecoded(frame);
        break;
      default:
        this.#events.onFrame(this, frame);
    }
  }

  #notDecoded({ trackId, codec }: LinkFrameOf<'not-decoded'>): void {
    this.#undecoded.add(codec);
    const relayed = this.#sent.get(trackId);
    if (relayed) this.#events.onNotDecoded(relayed.publication);
  }

  /** Whoever ends the link ends both connections at once, and only the socket says why. */
  #loseMedia(): void {
    this.#mediaLost ??= this.#context.clock.after(REASON_MS, () =>
      this.close(SIGNALLING_CLOSE.moved, 'the media connection is gone'),
    );
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mediaLost?.cancel();
    this.#logger.info({ code }, 'link ended');
    for (const relayed of this.#sent.values()) {
      relayed.publication.removeSink(relayed);
      relayed.close();
    }
    this.#sent.clear();
    this.#events.onEnd(this, code);
    for (const publication of this.#received.values()) publication.close();
    this.#received.clear();
    this.#downlink.close();
    this.data.close();
    this.#media.close();
    this.#releasePort();
  }
}

// Elements come under the forwarded ids. Of feedback a link has what mends losses: it is no path that has to be measured.
function uplinkOf({ kind, codecs, encodings }: LinkFrameOf<'track'>): UplinkMedia {
  return {
    kind,
    codecs: codecs.map(({ rtxPayloadType, ...codec }) => ({ ...codec, rtxPayloadType, feedback: [] })),
    encodings,
    ...{ extensions: [], extensionIds: SAME_IDS, rids: [] },
    ...{ transportFeedback: false, nack: true, pli: true, remb: false },
  };
}

function learn(publication: Publication, { source, muted, forced, codecs, encodings }: LinkFrameOf<'track'>): void {
  if (codecs[0]) publication.expectCodec(codecs[0].payloadType);
  publication.source = source;
  publication.muted = muted;
  publication.setForcedMute(forced);
  const layers = encodings.flatMap(({ rid, ssrc, rtxSsrc, width, height, maxBitrate }) =>
    rid === undefined
      ? []
      : [{ rid, ssrc, rtxSsrc, maxBitrate, ...(width > 0 && height > 0 ? { width, height } : {}) }],
  );
  if (layers.length > 0) publication.describeLayers(layers);
}

function ssrcsOf({ encodings }: LinkFrameOf<'track'>): number[] {
  return encodings.flatMap(({ ssrc, rtxSsrc }) => [ssrc, rtxSsrc]);
}
