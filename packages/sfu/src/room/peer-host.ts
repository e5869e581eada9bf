import type { ClientFrameOf, ServerFrame } from '@orama/protocol';
import type { DataPort } from '../data/data-port.ts';
import type { Publication } from '../media/publication.ts';
import type { Codec } from '../rtc/codecs.ts';
import type { Peer } from './peer.ts';

export type LeaveReason = Extract<ServerFrame, { type: 'peer-left' }>['reason'];

/** What a peer tells its room. */
export interface PeerHost {
  published(peer: Peer, publication: Publication): void;
  unpublished(peer: Peer, publication: Publication): void;
  /** Muted or unmuted. */
  updated(peer: Peer, publication: Publication): void;
  /** Offers it in other codecs, or with other streams. */
  renegotiated(peer: Peer, publication: Publication): void;
  /** Has another name or other metadata. */
  described(peer: Peer): void;
  /** Sends another of its codecs now. */
  codecChanged(publication: Publication): void;
  /** A subscriber cannot decode it. */
  notDecoded(publication: Publication): void;
  /** Whether everybody else decodes what the peer would send in that codec. */
  isDecodable(publisher: Peer, codec: Codec): boolean;
  /** The data channels of everybody else, and the links to those elsewhere. */
  ports(peer: Peer): Iterable<DataPort>;
  relay(from: Peer, frame: ClientFrameOf<'data'>): void;
  leave(peer: Peer, reason: LeaveReason): void;
}
