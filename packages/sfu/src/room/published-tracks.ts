import { type Logger, newId } from '@orama/core';
import type { ClientFrameOf } from '@orama/protocol';
import { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import type { MediaCounters } from '../media/counters.ts';
import { Publication } from '../media/publication.ts';
import type { UplinkOutcome } from '../rtc/media-lines.ts';
import type { RtcTrack } from '../rtc/track.ts';
import { FrameError } from '../signalling/outlet.ts';
import type { Peer } from './peer.ts';
import type { PeerHost } from './peer-host.ts';

type UplinkChange = UplinkOutcome['added'][number];

export interface PublishedTracksOptions {
  peer: Peer;
  host: PeerHost;
  counters: MediaCounters;
  logger: Logger;
  /** The track of an m-line of the peer's. */
  trackOf: (mid: string) => RtcTrack | undefined;
}

/** What one peer sends: the tracks of its offers, what it says about them, and what the room makes of them. */
export class PublishedTracks {
  readonly #peer: Peer;
  readonly #host: PeerHost;
  readonly #counters: MediaCounters;
  readonly #logger: Logger;
  readonly #trackOf: (mid: string) => RtcTrack | undefined;
  /** By their m-lines. */
  readonly #tracks = new Map<string, Publication>();
  /** The path from the peer; made with its first track, because most only receive and it is 35 KB. */
  #uplink: { arrivals: ArrivalRecorder; estimator: ReceiveEstimator } | null = null;
  /** Kinds that the room's owner has muted: what the peer publishes later is muted as well. */
  readonly #forcedMute = new Set<'audio' | 'video'>();

  constructor({ peer, host, counters, logger, trackOf }: PublishedTracksOptions) {
    this.#peer = peer;
    this.#host = host;
    this.#counters = counters;
    this.#logger = logger;
    this.#trackOf = trackOf;
  }

  get all(): Iterable<Publication> {
    return this.#tracks.values();
  }

  /** When anything of them came last. */
  get heardMs(): number {
    let newestMs = Number.NEGATIVE_INFINITY;
    for (const { heardMs } of this.#tracks.values()) newestMs = Math.max(newestMs, heardMs);
    return newestMs;
  }

  /** Takes over what an offer changed. @param frame the offer, for what it says about its tracks */
  apply(outcome: UplinkOutcome, frame: ClientFrameOf<'offer'>): void {
    for (const mid of outcome.removed) {
      const publication = this.#tracks.get(mid);
      if (publication) this.#unpublish(publication);
    }
    for (const { mid, media } of outcome.changed) {
      const publication = this.#tracks.get(mid);
      publication?.renegotiate(media);
      if (publication) this.#host.renegotiated(this.#peer, publication);
    }
    const described = new Map(frame.tracks?.map((track) => [track.mid, track]));
    for (const change of outcome.added) {
      const { source, muted = false } = described.get(change.mid) ?? {};
      this.#publish(change, source, muted);
    }
  }

  /** The peer mutes or unmutes one. @throws FrameError */
  setMuted({ trackId, muted }: ClientFrameOf<'track-state'>): void {
    const publication = [...this.#tracks.values()].find((each) => each.trackId === trackId);
    if (!publication) throw new FrameError('unknown_track', 'you publish no such track');
    if (publication.forcedMute && !muted) throw new FrameError('forbidden', 'the track is muted by the namespace');
    if (publication.muted === muted) return;
    publication.muted = muted;
    this.#host.updated(this.#peer, publication);
  }

  /** The peer tells the sizes of one's layers. @throws FrameError */
  describeLayers({ mid, layers }: ClientFrameOf<'track-layers'>): void {
    const publication = this.#tracks.get(mid);
    if (!publication) throw new FrameError('unknown_track', `you publish no track on the m-line ${mid}`);
    publication.describeLayers(layers);
    this.#host.updated(this.#peer, publication);
  }

  /** Mutes or unmutes what is sent and will be, against the peer's will. @returns how many tracks changed */
  forceMute(muted: boolean, kind?: 'audio' | 'video'): number {
    let changed = 0;
    for (const each of ['audio', 'video'] as const) {
      if (kind && kind !== each) continue;
      if (muted) this.#forcedMute.add(each);
      else this.#forcedMute.delete(each);
    }
    for (const publication of this.#tracks.values()) {
      if ((kind && publication.kind !== kind) || publication.forcedMute === muted) continue;
      publication.setForcedMute(muted);
      changed++;
      this.#host.updated(this.#peer, publication);
    }
    return changed;
  }

  /** Tells the peer again which tracks it sends and what is asked of them. */
  repeat(): void {
    for (const publication of this.#tracks.values()) {
      this.#announce(publication);
      publication.repeatDemand();
    }
  }

  /** Receiver reports, NACKs, key frame requests. */
  tick(nowMs: number): void {
    for (const publication of this.#tracks.values()) publication.tick(nowMs);
  }

  /** Reports when packets arrived: once for the path, by way of whichever track has something to tell. */
  sendTransportFeedback(): void {
    for (const publication of this.#tracks.values()) if (publication.sendTransportFeedback()) return;
  }

  close(): void {
    for (const publication of this.#tracks.values()) publication.close();
    this.#tracks.clear();
  }

  #publish({ mid, media }: UplinkChange, source: string | undefined, muted: boolean): void {
    this.#uplink ??= { arrivals: new ArrivalRecorder(), estimator: new ReceiveEstimator() };
    const publication = new Publication({
      trackId: newId('t'),
      peerId: this.#peer.id,
      mid,
      source,
      muted,
      media,
      ...this.#uplink,
      counters: this.#counters,
      onCodecChange: (changed) => this.#codecChanged(changed),
      onDemand: ({ trackId }, rids) => this.#peer.send({ type: 'send-layers', trackId, mid, rids }),
    });
    publication.setForcedMute(this.#forcedMute.has(publication.kind));
    this.#tracks.set(mid, publication);
    const track = this.#trackOf(mid);
    if (track) publication.attach(track);
    this.#announce(publication);
    this.#host.published(this.#peer, publication);
    if (publication.forcedMute) this.#host.updated(this.#peer, publication);
  }

  #unpublish(publication: Publication): void {
    this.#tracks.delete(publication.mid);
    publication.close();
    this.#host.unpublished(this.#peer, publication);
    const { trackId, peerId, kind } = publication;
    this.#peer.send({ type: 'track-removed', peerId, trackId, kind });
  }

  #codecChanged(publication: Publication): void {
    this.#logger.info({ track: publication.trackId, codec: publication.codec.name }, 'publisher changed its codec');
    this.#host.codecChanged(publication);
  }

  #announce(publication: Publication): void {
    this.#peer.send({ type: 'track-added', mid: publication.mid, peerId: this.#peer.id, ...publication.info });
  }
}
