import type { LinkFrameOf, Participant } from '@orama/protocol';
import { DataPort } from '../data/data-port.ts';
import type { Publication } from '../media/publication.ts';
import type { SfuContext } from '../room/context.ts';
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

  readonly data: DataPort;

  constructor(
    link: RoomLink,
    { type: _type, identity, node, ...description }: LinkFrameOf<'peer'>,
    { clock, channels: counters }: SfuContext,
    others: (member: RemotePeer) => Iterable<DataPort>,
  ) {
    this.id = description.peerId;
    this.identity = identity;
    this.node = node;
    this.link = link;
    this.#description = description;
    this.data = new DataPort({
      ...{ peerId: this.id, receives: false, maySend: true, isRelayed: true, clock, counters },
      open: () => {
        throw new Error('channels for a peer elsewhere go over the link to it');
      },
      others: () => others(this),
      tell: () => {},
    });
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
