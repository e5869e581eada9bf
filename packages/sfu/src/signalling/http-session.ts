import { randomBytes } from 'node:crypto';
import { type Clock, type Timer, TokenBucket, UserError } from '@orama/core';
import {
  HTTP_SESSION_CONNECT_MS,
  NEGOTIATION_RATE,
  type ServerFrame,
  type SfuSessionIceAnswer,
  type SfuSessionOpen,
} from '@orama/protocol';
import type { Peer } from '../room/peer.ts';
import type { LeaveReason } from '../room/peer-host.ts';
import { type IceFragment, withCredential, writeIceFragment } from '../rtc/ice-fragment.ts';
import { readIce } from '../rtc/sdp.ts';
import type { IceCredential } from '../rtc/stun-message.ts';
import { FrameError, type Outlet } from './outlet.ts';

/**
 * A client that asks by HTTP and is told nothing in between (WHIP, WHEP): one offer, candidates and ICE restarts, and an
 * end. Of the frames for its peer only answers are of use.
 */
export class HttpSession implements Outlet {
  readonly id = randomBytes(24).toString('base64url');
  readonly #offer: string;
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  readonly #rate: TokenBucket;
  #ticket: SfuSessionOpen['ticket'] | null = null;
  #peer: Peer | null = null;
  #leave: ((reason: LeaveReason) => void) | null = null;
  #connectTimer: Timer | null = null;
  #answer: string | null = null;
  /** The client's in the ICE session that goes on. */
  #credential: IceCredential | null;
  #iceSession = 1;

  /** @param options.onEnd called once, however it ended */
  constructor(options: { offer: string; clock: Clock; onEnd: () => void }) {
    this.#offer = options.offer;
    this.#clock = options.clock;
    this.#onEnd = options.onEnd;
    this.#rate = new TokenBucket(NEGOTIATION_RATE, options.clock.monotonic());
    this.#credential = null;
  }

  /** Entity tag of the ICE session. */
  get etag(): string {
    return `"${this.#iceSession}"`;
  }

  belongsTo(room: string, identity: string): boolean {
    return this.#ticket?.room === room && this.#ticket.identity === identity;
  }

  /** Negotiates. @returns the answer. @throws FrameError when the offer cannot be used; the peer has left then */
  start(ticket: SfuSessionOpen['ticket'], peer: Peer, leave: (reason: LeaveReason) => void): string {
    this.#ticket = ticket;
    this.#peer = peer;
    this.#leave = leave;
    this.#connectTimer = this.#clock.after(HTTP_SESSION_CONNECT_MS, () => {
      if (!peer.connected) this.leave('timeout');
    });
    try {
      const answer = this.#negotiate(this.#offer);
      this.#credential = readIce(this.#offer);
      const { publish } = ticket.permissions;
      if ((publish ? /^a=recvonly/m : /^a=sendonly/m).test(answer)) return answer;
      const what = publish ? 'sends nothing that' : 'receives nothing that';
      throw new FrameError('invalid_offer', `the offer ${what} can be forwarded: Opus, VP8, VP9, H.264, AV1`);
    } catch (thrown) {
      this.leave('protocol-error');
      throw thrown;
    }
  }

  /** Takes a fragment for the ICE session that `ifMatch` names. @throws FrameError, UserError */
  ice({ credential, candidates }: IceFragment, ifMatch: string): SfuSessionIceAnswer {
    if (!this.#rate.take(this.#clock.monotonic())) throw new FrameError('rate_limited', 'too many ICE fragments');
    const isRestart = credential !== null && credential.ufrag !== this.#credential?.ufrag;
    if (ifMatch !== (isRestart ? '*' : this.etag) && !(ifMatch === '*' && credential !== null))
      throw new UserError('PRECONDITION_FAILED', 'the fragment belongs to another ICE session than If-Match names', {
        hint: 'send the ETag of the current session with its candidates, or * with a new ice-ufrag and ice-pwd',
      });
    const answer = isRestart ? this.#negotiate(withCredential(this.#offer, credential)) : null;
    if (isRestart) {
      this.#credential = credential;
      this.#iceSession++;
    }
    for (const candidate of candidates) this.#peer?.handle({ type: 'ice-candidate', candidate });
    return { etag: this.etag, fragment: answer && writeIceFragment(answer) };
  }

  /** Takes the peer out of its room; what belongs to the session ends with it. */
  leave(reason: LeaveReason): void {
    this.#leave?.(reason);
  }

  send(frame: ServerFrame): void {
    if (frame.type === 'answer') this.#answer = frame.sdp;
    // It cannot be told to go elsewhere: losing its media is the sign that it understands.
    if (frame.type === 'server-draining') queueMicrotask(() => this.leave('draining'));
  }

  close(): void {
    this.#connectTimer?.cancel();
    this.#peer = null;
    this.#leave = null;
    this.#onEnd();
  }

  #negotiate(offer: string): string {
    this.#answer = null;
    try {
      this.#peer?.handle({ type: 'offer', sdp: offer });
    } catch (thrown) {
      // Some m-lines were refused. The answer says so to a player; who publishes would take half of it for all
      // (RFC 9725 section 4.4.3).
      if (this.#answer === null || this.#ticket?.permissions.publish) throw thrown;
    }
    if (this.#answer === null) throw new FrameError('internal', 'the peer did not answer');
    return this.#answer;
  }
}
