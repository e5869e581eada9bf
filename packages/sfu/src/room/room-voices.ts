import type { ServerFrameOf } from '@orama/protocol';
import type { Publication } from '../media/publication.ts';
import { Speakers } from './speakers.ts';
import { Voice } from './voice.ts';

/** Levels are looked at this often. */
const SAMPLE_MS = 100;

export interface RoomVoicesEvents {
  /** Who speaks has changed. */
  onSpeakers: (frame: ServerFrameOf<'active-speakers'>) => void;
  /** A track is heard from now on, or no longer. */
  onHeard: (publication: Publication) => void;
}

/** The audio tracks of a room: who speaks, and which are heard where the room forwards only so many. */
export class RoomVoices {
  readonly #events: RoomVoicesEvents;
  readonly #speakers: Speakers<PublishedVoice>;
  readonly #voices = new Map<Publication, PublishedVoice>();
  #sampledMs = Number.NEGATIVE_INFINITY;

  /** @param maxSpeakers how many tracks are heard at once; null for all */
  constructor(maxSpeakers: number | null, events: RoomVoicesEvents) {
    this.#speakers = new Speakers(maxSpeakers);
    this.#events = events;
  }

  /** Who speaks now. */
  get frame(): ServerFrameOf<'active-speakers'> {
    const speakers = this.#speakers.order.map(({ publication, level }) => ({
      peerId: publication.peerId,
      trackId: publication.trackId,
      level: Math.round(level * 100) / 100,
    }));
    return { type: 'active-speakers', speakers };
  }

  /** Listens to a new audio track; call it before the track has subscribers. */
  add(publication: Publication): void {
    if (publication.kind !== 'audio') return;
    const voice = new PublishedVoice(publication);
    this.#voices.set(publication, voice);
    this.#speakers.add(voice, performance.now());
    publication.heard = this.#speakers.isHeard(voice);
    publication.addSink(voice);
  }

  /** The track has ended. */
  remove(publication: Publication): void {
    const voice = this.#voices.get(publication);
    if (!voice) return;
    this.#voices.delete(publication);
    publication.removeSink(voice);
    const next = this.#speakers.remove(voice, performance.now());
    if (next) this.#hear(next, true);
  }

  /** Called every 50 ms or so. */
  tick(nowMs: number): void {
    const isIdle = this.#voices.size === 0 && this.#speakers.order.length === 0;
    if (isIdle || nowMs - this.#sampledMs < SAMPLE_MS) return;
    this.#sampledMs = nowMs;
    for (const voice of this.#voices.values()) voice.sample(nowMs);
    for (const { heard, silenced } of this.#speakers.reseat(nowMs)) {
      this.#hear(silenced, false);
      this.#hear(heard, true);
    }
    if (this.#speakers.reorder(nowMs)) this.#events.onSpeakers(this.frame);
  }

  #hear({ publication }: PublishedVoice, heard: boolean): void {
    publication.heard = heard;
    this.#events.onHeard(publication);
  }
}

class PublishedVoice extends Voice {
  readonly publication: Publication;

  constructor(publication: Publication) {
    super();
    this.publication = publication;
  }
}
