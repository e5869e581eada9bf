import { type Clock, type Logger, PeerError, UserError } from '@orama/core';
import {
  type ErrorCode,
  SFU_TICKET_TTL_SEC,
  type SfuSessionClose,
  type SfuSessionIce,
  type SfuSessionIceAnswer,
  type SfuSessionOpen,
  type SfuSessionOpened,
  type SignallingErrorCode,
} from '@orama/protocol';
import type { Rooms } from '../room/rooms.ts';
import { readIceFragment } from '../rtc/ice-fragment.ts';
import { HttpSession } from './http-session.ts';
import { FrameError } from './outlet.ts';

/** REST codes of what a frame would be refused with. */
const ERROR_CODES: Partial<Record<SignallingErrorCode, ErrorCode>> = {
  invalid_offer: 'INVALID_REQUEST',
  invalid_candidate: 'INVALID_REQUEST',
  too_many_tracks: 'INVALID_REQUEST',
  forbidden: 'FORBIDDEN',
  room_full: 'ROOM_FULL',
  capacity: 'UNAVAILABLE',
  draining: 'DRAINING',
  rate_limited: 'RATE_LIMITED',
};

/** The sessions of clients without signalling, by their secret names; each is a peer of a room like any other. */
export class HttpSessions {
  readonly #rooms: Rooms;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #sessions = new Map<string, HttpSession>();

  constructor(options: { rooms: Rooms; clock: Clock; logger: Logger }) {
    this.#rooms = options.rooms;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Joins the ticket's room with an offer, the only one there will be. @throws OramaError */
  open({ ticket, name, publisher, offer }: SfuSessionOpen): SfuSessionOpened {
    return asRestError(() => {
      const exp = Math.floor(this.#clock.now() / 1000) + SFU_TICKET_TTL_SEC;
      const session = new HttpSession({ offer, clock: this.#clock, onEnd: () => this.#sessions.delete(session.id) });
      const outlet = session;
      const { peer, room } = this.#rooms.join({
        ...{ ticket: { ...ticket, exp }, name, metadata: undefined, resume: undefined, channels: false },
        ...{ outlet, playback: { publisher } },
      });
      this.#sessions.set(session.id, session);
      const answer = session.start(ticket, peer, (reason) => room.leave(peer, reason));
      this.#logger.info({ room: ticket.room, peer: peer.id }, 'session without signalling opened');
      return { session: session.id, peerId: peer.id, answer, etag: session.etag };
    });
  }

  /** Takes candidates, or begins a new ICE session. @throws OramaError */
  ice({ fragment, ifMatch, ...which }: SfuSessionIce): SfuSessionIceAnswer {
    const session = this.#require(which);
    return asRestError(() => session.ice(readIceFragment(fragment), ifMatch));
  }

  /** @throws UserError when there is no such session */
  close(which: SfuSessionClose): void {
    this.#require(which).leave('left');
  }

  #require({ room, identity, session: id }: SfuSessionClose): HttpSession {
    const session = this.#sessions.get(id);
    if (!session?.belongsTo(room, identity))
      throw new UserError('SESSION_NOT_FOUND', 'there is no such session, or no longer', {
        hint: 'open a new one with POST',
      });
    return session;
  }
}

function asRestError<T>(run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    if (thrown instanceof PeerError) throw new UserError(thrown.code, thrown.message);
    if (!(thrown instanceof FrameError)) throw thrown;
    const code = ERROR_CODES[thrown.code] ?? 'INTERNAL';
    const retryable = code === 'UNAVAILABLE' || code === 'DRAINING' || code === 'RATE_LIMITED';
    throw new UserError(code, thrown.message, { retryable, cause: thrown });
  }
}
