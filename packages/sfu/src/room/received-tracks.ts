import type { Logger } from '@orama/core';
import type { ClientFrameOf } from '@orama/protocol';
import { Downlink } from '../media/downlink.ts';
import type { Publication } from '../media/publication.ts';
import { qualityOf } from '../media/quality.ts';
import { SMALLEST, Subscription } from '../media/subscription.ts';
import type { DownlinkSpec } from '../rtc/downlink-spec.ts';
import type { Negotiation } from '../rtc/negotiation.ts';
import type { RtcpPacket } from '../rtp/rtcp/packets.ts';
import { FrameError } from '../signalling/outlet.ts';
import type { SfuContext } from './context.ts';
import type { Member } from './member.ts';
import type { Peer } from './peer.ts';
import type { PeerHost } from './peer-host.ts';

const QUALITY_MS = 2_000;

/** What a session without signalling plays. */
export interface Playback {
  /** Id or name of the publisher; undefined for whoever came last. */
  publisher: string | undefined;
}

export interface ReceivedTracksOptions {
  peer: Peer;
  host: PeerHost;
  negotiation: Negotiation;
  context: SfuContext;
  logger: Logger;
  /** See PeerOptions. */
  playback: Playback | undefined;
}

interface WaitingTrack {
  publication: Publication;
  cname: string;
  streamId: string;
}

/** What one peer gets of the others: its subscriptions, on m-lines of its connection and along one path. */
export class ReceivedTracks {
  readonly #peer: Peer;
  readonly #host: PeerHost;
  readonly #negotiation: Negotiation;
  readonly #context: SfuContext;
  readonly #logger: Logger;
  readonly #playback: Playback | undefined;
  readonly #downlink: Downlink;
  /** By the ids of their tracks. */
  readonly #subscriptions = new Map<string, Subscription>();
  /** Tracks that no m-line of the session is free for, oldest first. */
  readonly #waiting = new Map<string, WaitingTrack>();
  #nextQualityMs = 0;
  #closed = false;

  constructor({ peer, host, negotiation, context, logger, playback }: ReceivedTracksOptions) {
    this.#peer = peer;
    this.#host = host;
    this.#negotiation = negotiation;
    this.#context = context;
    this.#logger = logger;
    this.#playback = playback;
    this.#downlink = new Downlink(context.counters, context.clock);
  }

  /** What the path to the peer takes in our estimate, in bit/s; null until it has reported. */
  get availableBps(): number | null {
    return this.#downlink.availableBps;
  }

  /** How many tracks the peer does not get for want of bandwidth. */
  get pausedCount(): number {
    let count = 0;
    for (const { delivery } of this.#subscriptions.values()) if (delivery === 'no-bandwidth') count++;
    return count;
  }

  /** When the peer last reported on what it gets. */
  get heardMs(): number {
    return this.#downlink.heardMs;
  }

  /** Whether anything flowed to the peer within so many milliseconds. */
  isFlowing(nowMs: number, withinMs: number): boolean {
    for (const { active, publication } of this.#subscriptions.values())
      if (active && nowMs - publication.heardMs < withinMs) return true;
    return false;
  }

  /** Whether the peer plays what `publisher` sends. */
  wants({ id, description }: Member): boolean {
    const only = this.#playback?.publisher;
    return only === undefined || only === id || only === description.name;
  }

  /** Begins to send another peer's track to this one, now or when an m-line is free for it. */
  subscribe(publication: Publication, cname: string, streamId: string): void {
    if (!this.#peer.ticket.permissions.subscribe || this.#subscriptions.has(publication.trackId)) return;
    if (!this.#playback) {
      this.#receive(publication, cname, streamId);
      return;
    }
    this.#waiting.set(publication.trackId, { publication, cname, streamId });
    this.playWaiting();
  }

  /** Puts waiting tracks on m-lines that are free for them now. */
  playWaiting(): void {
    // Of one publisher only: the clocks of two are not the same, so that their sound and picture would not keep together.
    for (const { publication, cname, streamId } of [...this.#waiting.values()].reverse()) {
      const [playing] = this.#subscriptions.values();
      if (playing && playing.publication.peerId !== publication.peerId) continue;
      if (this.#receive(publication, cname, streamId)) this.#waiting.delete(publication.trackId);
    }
  }

  /** Stops sending another peer's track. */
  unsubscribe(publication: Publication): void {
    this.#waiting.delete(publication.trackId);
    const subscription = this.#subscriptions.get(publication.trackId);
    if (!subscription) return;
    this.#subscriptions.delete(publication.trackId);
    publication.removeSink(subscription);
    subscription.close();
    if (this.#closed) return;
    const { mid, nextSequence, nextRtxSequence, end } = subscription;
    this.#negotiation.removeDownlink(mid, nextSequence, nextRtxSequence, end);
    const { trackId, peerId, kind } = publication;
    this.#peer.send({ type: 'track-removed', peerId, trackId, kind });
    this.playWaiting();
  }

  /**
   * The publisher of a received track changed its codec.
   * @returns false where the codec before could not be decoded, and its m-line is gone: subscribe anew
   */
  changeCodec(publication: Publication): boolean {
    const subscription = this.#subscriptions.get(publication.trackId);
    if (!subscription) return true;
    if (subscription.delivery === 'unsupported-codec') {
      this.unsubscribe(publication);
      return false;
    }
    this.#negotiation.changeCodec(subscription.mid, publication.codec);
    return true;
  }

  /** A track is heard in the room from now on, or no longer. */
  hearingChanged({ trackId }: Publication): void {
    this.#subscriptions.get(trackId)?.hearingChanged();
  }

  /** The peer asks for more or less of one. @throws FrameError */
  setWish(frame: ClientFrameOf<'subscribe'>): void {
    const subscription = this.#subscriptions.get(frame.trackId);
    if (!subscription) throw new FrameError('unknown_track', 'you receive no such track');
    subscription.setWish(frame);
  }

  /** Tells the peer again which tracks it gets, with their m-lines. */
  repeat(): void {
    for (const subscription of this.#subscriptions.values()) {
      this.#announce(subscription);
      if (subscription.delivery !== 'flowing') this.#tellDelivery(subscription);
    }
  }

  /** Takes what the peer reports, one RTCP datagram. */
  hear(packets: readonly RtcpPacket[], nowMs: number): void {
    this.#downlink.receive(packets, nowMs);
  }

  /** Sender reports, layers, the share that each gets of the path; and now and then how it goes. */
  tick(nowMs: number): void {
    for (const subscription of this.#subscriptions.values()) subscription.tick(nowMs);
    this.#downlink.tick(this.#subscriptions.values(), nowMs);
    if (nowMs >= this.#nextQualityMs) this.#tellQuality(nowMs);
  }

  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions.values()) {
      subscription.publication.removeSink(subscription);
      subscription.close();
    }
    this.#subscriptions.clear();
    this.#waiting.clear();
    this.#downlink.close();
  }

  /** False when there is no m-line for it. */
  #receive(publication: Publication, cname: string, streamId: string): boolean {
    const { counters } = this.#context;
    let subscription: Subscription | undefined;
    const spec: DownlinkSpec = {
      kind: publication.kind,
      codec: publication.codec,
      cname,
      streamId,
      trackId: publication.trackId,
      onReady: (track, codec, payloadTypes) => subscription?.activate(track, codec, payloadTypes),
      onStopped: (why) => {
        if (why === 'codec-changed') {
          this.unsubscribe(publication);
          this.subscribe(publication, cname, streamId);
          return;
        }
        subscription?.deactivate(why);
        this.#logger.info({ track: publication.trackId, reason: why }, 'track not received');
        if (why === 'unsupported-codec') this.#host.notDecoded(publication);
      },
    };
    const place = this.#playback ? this.#negotiation.placeDownlink(spec) : this.#negotiation.addDownlink(spec);
    if (!place) return false;
    subscription = new Subscription({
      ...{ publication, ...place, cname, counters },
      downlink: this.#downlink,
      onDelivery: (changed) => this.#tellDelivery(changed),
    });
    subscription.setTarget(SMALLEST);
    this.#subscriptions.set(publication.trackId, subscription);
    publication.addSink(subscription);
    this.#announce(subscription);
    return true;
  }

  #announce(subscription: Subscription): void {
    const { publication, mid } = subscription;
    this.#peer.send({ type: 'track-added', mid, peerId: publication.peerId, ...publication.info });
  }

  #tellDelivery({ publication, delivery }: Subscription): void {
    this.#peer.send({ type: 'track-updated', peerId: publication.peerId, ...publication.info, delivery });
  }

  #tellQuality(nowMs: number): void {
    this.#nextQualityMs = nowMs + QUALITY_MS;
    if (this.#subscriptions.size === 0) return;
    const subscriptions = [...this.#subscriptions.values()];
    const rttMs = subscriptions.find((subscription) => subscription.rttMs !== null)?.rttMs;
    const { availableBps } = this.#downlink;
    this.#peer.send({
      type: 'quality',
      ...(availableBps === null ? {} : { availableBitrate: Math.round(availableBps) }),
      ...(rttMs ? { rttMs } : {}),
      tracks: subscriptions.map(qualityOf),
    });
  }
}
