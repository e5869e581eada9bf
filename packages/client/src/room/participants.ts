import type { Delivery, Participant, ServerFrame, ServerFrameOf, TrackInfo, TrackLayer } from '@orama/protocol';

/** A track of somebody else. */
export interface RemoteTrack {
  readonly trackId: string;
  readonly kind: 'audio' | 'video';
  readonly source: string | undefined;
  readonly muted: boolean;
  /** Name of the codec it is sent in, such as `VP8`; undefined where the server does not tell. */
  readonly codec: string | undefined;
  /** From the smallest picture up; empty for a track without simulcast. */
  readonly layers: readonly TrackLayer[];
  /** Whether the server sends it to us, or why not. */
  readonly delivery: Delivery;
  /** How it came in the last two seconds; undefined until the server has said so. */
  readonly quality: TrackQuality | undefined;
  readonly participant: RemoteParticipant;
  /** The media; undefined until it is negotiated. */
  readonly mediaStreamTrack: MediaStreamTrack | undefined;
}

/** What the server sent of a track in the last two seconds. */
export interface TrackQuality {
  /** Index in `layers`, 0 for the smallest; undefined without layers, and where nothing is sent. */
  readonly layer: number | undefined;
  readonly bitrateBps: number;
  /** Share of packets lost on the way, 0 to 1. */
  readonly loss: number;
}

/** How everything that is received goes. */
export interface ReceptionQuality {
  /** What the path to us takes, as the server estimates; undefined until it has an estimate. */
  readonly availableBitrateBps: number | undefined;
  /** Round trip between us and the server. */
  readonly rttMs: number | undefined;
  /** Those whose `quality` or `delivery` was told. */
  readonly tracks: readonly RemoteTrack[];
}

/** Somebody who speaks. */
export interface ActiveSpeaker {
  /** Undefined for oneself. */
  readonly participant: RemoteParticipant | undefined;
  readonly peerId: string;
  readonly trackId: string;
  /** 0 (silence) to 1. */
  readonly level: number;
}

/** A track whose media has arrived. */
export type ReceivedTrack = RemoteTrack & { readonly mediaStreamTrack: MediaStreamTrack };

/** Somebody else in the room. A new `peerId` each time they join. */
export interface RemoteParticipant {
  readonly peerId: string;
  readonly name: string | undefined;
  readonly metadata: Record<string, unknown> | undefined;
  readonly tracks: ReadonlyMap<string, RemoteTrack>;
}

interface TrackEntry extends RemoteTrack {
  muted: boolean;
  codec: string | undefined;
  layers: readonly TrackLayer[];
  delivery: Delivery;
  quality: TrackQuality | undefined;
  participant: ParticipantEntry;
  mediaStreamTrack: MediaStreamTrack | undefined;
  mid: string | undefined;
}

interface ParticipantEntry extends RemoteParticipant {
  name: string | undefined;
  metadata: Record<string, unknown> | undefined;
  tracks: Map<string, TrackEntry>;
}

/** What changed. */
export type ParticipantChange =
  | { type: 'participant-joined'; participant: RemoteParticipant }
  | { type: 'participant-updated'; participant: RemoteParticipant }
  | { type: 'participant-left'; participant: RemoteParticipant; reason: string }
  | { type: 'track-added'; track: ReceivedTrack }
  | { type: 'track-removed' | 'track-updated'; track: RemoteTrack };

/**
 * The others and their tracks, as the frames tell. A track is reported as added when both are known, in whichever
 * order they come: its announcement, and the media on the m-line that the announcement names.
 */
export class Participants {
  readonly #byId = new Map<string, ParticipantEntry>();
  readonly #report: (change: ParticipantChange) => void;

  constructor(report: (change: ParticipantChange) => void) {
    this.#report = report;
  }

  get all(): ReadonlyMap<string, RemoteParticipant> {
    return this.#byId;
  }

  track(trackId: string): RemoteTrack | undefined {
    return this.#track(trackId);
  }

  /** The track whose media is `mediaStreamTrackId`, or that is announced on `mid`. */
  trackOf(mid: string | undefined, mediaStreamTrackId: string | undefined): RemoteTrack | undefined {
    const entries = [...this.#entries()];
    return (
      entries.find((entry) => entry.mediaStreamTrack?.id === mediaStreamTrackId && mediaStreamTrackId !== undefined) ??
      entries.find((entry) => entry.mid === mid && mid !== undefined)
    );
  }

  /** Makes the room what `welcome` says: after a resume only the difference is reported. */
  replace(participants: readonly Participant[], reason: string): void {
    const present = new Set(participants.map(({ peerId }) => peerId));
    for (const peerId of [...this.#byId.keys()]) if (!present.has(peerId)) this.leave(peerId, reason);
    for (const participant of participants) {
      this.#join(participant);
      this.#describe(participant);
      const tracks = new Set(participant.tracks.map(({ trackId }) => trackId));
      for (const entry of [...this.#entries()]) {
        if (entry.participant.peerId === participant.peerId && !tracks.has(entry.trackId)) this.#remove(entry);
      }
      for (const info of participant.tracks) this.#announce(participant.peerId, info, undefined);
    }
  }

  /** Takes in a frame about the others; true when it was one. */
  receive(frame: ServerFrame): boolean {
    if (frame.type === 'peer-joined') this.#join(frame);
    else if (frame.type === 'peer-updated') this.#describe(frame);
    else if (frame.type === 'peer-left') this.leave(frame.peerId, frame.reason);
    else if (frame.type === 'track-added') this.#announce(frame.peerId, frame, frame.mid);
    else if (frame.type === 'track-updated') {
      if (this.#track(frame.trackId)) this.#announce(frame.peerId, frame, undefined, frame.delivery);
    } else if (frame.type === 'track-removed') {
      const entry = this.#track(frame.trackId);
      if (entry) this.#remove(entry);
    } else return false;
    return true;
  }

  /** Takes in how everything goes. */
  measure(frame: ServerFrameOf<'quality'>): ReceptionQuality {
    const tracks = frame.tracks.flatMap(({ trackId, delivery, layer, bitrate, loss }) => {
      const entry = this.#track(trackId);
      if (!entry) return [];
      entry.quality = { layer, bitrateBps: bitrate, loss };
      const { muted, codec, layers } = entry;
      this.#update(entry, { muted, codec, layers, delivery });
      return [entry];
    });
    return { availableBitrateBps: frame.availableBitrate, rttMs: frame.rttMs, tracks };
  }

  /** Finds the media of announced tracks; call whenever m-lines have changed. */
  bind(receiving: (mid: string) => MediaStreamTrack | undefined): void {
    for (const entry of [...this.#entries()]) {
      const media = entry.mid === undefined ? undefined : receiving(entry.mid);
      if (media === entry.mediaStreamTrack || !media) continue;
      if (entry.mediaStreamTrack) this.#report({ type: 'track-removed', track: { ...entry } });
      this.#report({ type: 'track-added', track: Object.assign(entry, { mediaStreamTrack: media }) });
    }
  }

  leave(peerId: string, reason: string): void {
    const participant = this.#byId.get(peerId);
    if (!participant) return;
    for (const entry of [...participant.tracks.values()]) this.#remove(entry);
    this.#byId.delete(peerId);
    this.#report({ type: 'participant-left', participant, reason });
  }

  #join({ peerId, name, metadata }: Pick<Participant, 'peerId' | 'name' | 'metadata'>): ParticipantEntry {
    const known = this.#byId.get(peerId);
    if (known) return known;
    const participant: ParticipantEntry = { peerId, name, metadata, tracks: new Map() };
    this.#byId.set(peerId, participant);
    this.#report({ type: 'participant-joined', participant });
    return participant;
  }

  #describe({ peerId, name, metadata }: Pick<Participant, 'peerId' | 'name' | 'metadata'>): void {
    const participant = this.#byId.get(peerId);
    if (!participant) return;
    const isSame = participant.name === name && JSON.stringify(participant.metadata) === JSON.stringify(metadata);
    if (isSame) return;
    Object.assign(participant, { name, metadata });
    this.#report({ type: 'participant-updated', participant });
  }

  #announce(peerId: string, info: TrackInfo, mid: string | undefined, delivery?: Delivery): void {
    const participant = this.#join({ peerId });
    const { trackId, kind, source, muted, codec, layers = [] } = info;
    const known = participant.tracks.get(trackId);
    if (!known) {
      const untold = { delivery: delivery ?? 'flowing', quality: undefined, mediaStreamTrack: undefined };
      participant.tracks.set(trackId, { trackId, kind, source, muted, codec, layers, participant, mid, ...untold });
      return;
    }
    known.mid = mid ?? known.mid;
    this.#update(known, { muted, codec, layers, delivery: delivery ?? known.delivery });
  }

  #update(entry: TrackEntry, told: Pick<TrackEntry, 'muted' | 'codec' | 'layers' | 'delivery'>): void {
    const { muted, codec, layers, delivery } = entry;
    if (JSON.stringify({ muted, codec, layers, delivery }) === JSON.stringify(told)) return;
    Object.assign(entry, told);
    this.#report({ type: 'track-updated', track: entry });
  }

  #remove(entry: TrackEntry): void {
    entry.participant.tracks.delete(entry.trackId);
    if (entry.mediaStreamTrack) this.#report({ type: 'track-removed', track: entry });
  }

  #track(trackId: string): TrackEntry | undefined {
    for (const participant of this.#byId.values()) {
      const entry = participant.tracks.get(trackId);
      if (entry) return entry;
    }
    return undefined;
  }

  *#entries(): Generator<TrackEntry> {
    for (const participant of this.#byId.values()) yield* participant.tracks.values();
  }
}
