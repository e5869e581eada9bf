import type { Participant } from '@orama/protocol';
import type { DataPort } from '../data/data-port.ts';
import type { Publication } from '../media/publication.ts';

/** Somebody in a room: connected here, or to another SFU that serves the room too. */
export interface Member {
  readonly id: string;
  /** Of its credential. */
  readonly identity: string;
  /** The node whose SFU it is connected to. */
  readonly node: string;
  /** What it says of itself. */
  readonly description: Omit<Participant, 'tracks'>;
  /** How others see it. */
  readonly participant: Participant;
  /** What it sends. */
  readonly publications: Iterable<Publication>;
  /** Its data channels. */
  readonly data: DataPort;
}
