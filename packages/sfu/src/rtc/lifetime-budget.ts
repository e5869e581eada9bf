import { PeerError } from '@orama/core';
import { isOurMid } from './media-lines.ts';
import type { RemoteDescription } from './sdp.ts';

/** Names of own m-lines and SSRCs that a peer may show in a connection's life; browsers reuse theirs and need far fewer. */
const MAX_MIDS = 256;
const MAX_SSRCS = 2_048;

/**
 * What a peer may make libdatachannel remember over a connection's life. A native track belongs to every mid and an entry
 * in a table to every SSRC that was ever described, and neither is given back before the connection is closed.
 */
export class LifetimeBudget {
  readonly #mids = new Set<string>();
  readonly #ssrcs = new Set<number>();

  /**
   * Counts what a description of the peer brings anew.
   * @throws PeerError when that is too much; the description must not be applied then
   */
  spend(remote: RemoteDescription): void {
    for (const { mid, media } of remote.sections) {
      if (!isOurMid(mid)) this.#mids.add(mid);
      for (const { id } of media.ssrcs ?? []) this.#ssrcs.add(id);
      if (this.#mids.size > MAX_MIDS) throw usedUp(`${MAX_MIDS} m-lines`);
      if (this.#ssrcs.size > MAX_SSRCS) throw usedUp(`${MAX_SSRCS} SSRCs`);
    }
  }
}

function usedUp(what: string): PeerError {
  return new PeerError('INVALID_REQUEST', `this connection has named more than ${what} in its life; join again`);
}
