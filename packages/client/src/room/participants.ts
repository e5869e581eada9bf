import type { Participant, ServerFrame, TrackInfo } from '@orama/protocol';

/** A track of somebody else. */
export interface RemoteTrack {
  readonly trackId: string;
  readonly kind: 'audio' | 'video';
  readonly source: string | undefined;
  readonly muted: boolean;
  readonly participant: RemoteParticipant;
  /** The media; undefined until it is negotiated. */
  readonly mediaStreamTrack: MediaStreamTrack | undefined;
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
      if (this.#track(frame.trackId)) this.#announce(frame.peerId, frame, undefined);
    } else if (frame.type === 'track-removed') {
      const entry = this.#track(frame.trackId);
      if (entry) this.#remove(entry);
    } else return false;
    return true;
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

  #announce(peerId: string, info: TrackInfo, mid: string | undefined): void {
    const participant = this.#join({ peerId });
    const known = participant.tracks.get(info.trackId);
    if (known) {
      known.mid = mid ?? known.mid;
      if (known.muted === info.muted) return;
      known.muted = info.muted;
      this.#report({ type: 'track-updated', track: known });
      return;
    }
    const { trackId, kind, source, muted } = info;
    participant.tracks.set(trackId, { trackId, kind, source, muted, participant, mid, mediaStreamTrack: undefined });
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
