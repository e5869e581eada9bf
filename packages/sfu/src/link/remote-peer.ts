import type { LinkFrameOf, Participant } from '@orama/protocol';
import type { Publication } from '../media/publication.ts';
import type { Member } from '../room/member.ts';
import type { RoomLink } from './room-link.ts';

/** A peer that is connected to another SFU of the room, as the link to that one tells of it. */
export class RemotePeer implements Member {
  readonly id: string;
  readonly identity: string;
  readonly node: string;
  /** Where its tracks come from. */
  readonly link: RoomLink;
  /** By track id. */
  readonly tracks = new Map<string, Publication>();
  #description: Member['description'];

  constructor(link: RoomLink, { type: _type, identity, node, ...description }: LinkFrameOf<'peer'>) {
    this.id = description.peerId;
    this.identity = identity;
    this.node = node;
    this.link = link;
    this.#description = description;
  }

  get description(): Member['description'] {
    return this.#description;
  }

  get publications(): Iterable<Publication> {
    return this.tracks.values();
  }

  get participant(): Participant {
    return { ...this.description, tracks: [...this.publications].map(({ info }) => info) };
  }

  /** It says something else of itself. */
  describe({ peerId, name, metadata }: LinkFrameOf<'peer'>): void {
    this.#description = {
      peerId,
      ...(name === undefined ? {} : { name }),
      ...(metadata === undefined ? {} : { metadata }),
    };
  }
}
