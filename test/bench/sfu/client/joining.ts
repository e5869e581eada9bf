import type { MediaClient } from './media-client.ts';

export interface JoinRequest {
  room: string;
  name: string;
  /** Of the track it sends; null for one that only watches. */
  ssrc: number | null;
  /** Publishers that it watches, as the SFU names them; null for one that only sends. */
  feeds: readonly number[] | null;
  /** Tracks that it waits for. */
  tracks: number;
}

/** A client that is in a room. */
export interface Joined {
  readonly client: MediaClient;
  /** What others need to watch it, where the SFU wants to be told. */
  readonly feed: number | null;
  close(): void;
}
