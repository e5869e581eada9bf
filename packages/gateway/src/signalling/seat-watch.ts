import { type Clock, type Logger, type Timer, UserError } from '@orama/core';
import type { RoomRow, RoomsRepository } from '@orama/store';
import type { Authenticator, Principal } from '../auth/authenticator.ts';
import type { PlacedRoom } from '../rooms/room-placer.ts';
import { sfuAt } from '../rooms/sfus.ts';
import { type Refusal, refusalOf } from './refusal.ts';

const CHECK_MS = 2_000;

/** Whose session it is and where, once both are known. */
export interface Seat {
  principal: Principal;
  placed: PlacedRoom;
}

/** A session that somebody is let in by. */
export interface Seated {
  /** Null before it is known. */
  readonly seat: Seat | null;
  /** Ends it: its holder is not let in any more. */
  refuse(refusal: Refusal): void;
  /** Ends it: the room is elsewhere. */
  moveAway(): void;
}

/**
 * Keeps open sessions true to the store: when a room has moved, those still connected to its old SFU are sent after it,
 * so that a room never stays split; when a key was revoked, its sessions end.
 */
export class SeatWatch {
  readonly #sessions: () => Iterable<Seated>;
  readonly #rooms: RoomsRepository;
  readonly #authenticator: Authenticator;
  readonly #logger: Logger;
  readonly #timer: Timer;
  #checking = false;

  constructor(options: {
    sessions: () => Iterable<Seated>;
    rooms: RoomsRepository;
    authenticator: Authenticator;
    clock: Clock;
    logger: Logger;
  }) {
    this.#sessions = options.sessions;
    this.#rooms = options.rooms;
    this.#authenticator = options.authenticator;
    this.#logger = options.logger;
    this.#timer = options.clock.every(CHECK_MS, () => void this.#checkOnce());
  }

  stop(): void {
    this.#timer.cancel();
  }

  async #checkOnce(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await this.check();
    } catch (thrown) {
      // Nothing is ended on a failed read; the next run looks again.
      this.#logger.warn({ err: thrown }, 'open sessions could not be checked');
    } finally {
      this.#checking = false;
    }
  }

  /** One look at every session. Throws what the store throws. */
  async check(): Promise<void> {
    // Sessions first: what is surely read after them is at least as new as their seats.
    const seated: { session: Seated; seat: Seat }[] = [];
    for (const session of this.#sessions()) if (session.seat) seated.push({ session, seat: session.seat });
    const rowsOf = new Map<string, Map<string, RoomRow>>();
    for (const namespace of new Set(seated.map(({ seat }) => seat.principal.namespace))) {
      const rows = await this.#rooms.listOf(namespace);
      rowsOf.set(namespace, new Map(rows.map((row) => [row.roomId, row])));
    }
    for (const { session, seat } of seated) {
      const { principal, placed } = seat;
      const row = rowsOf.get(principal.namespace)?.get(placed.row.roomId);
      if (!(await this.#authenticator.stillHolds(principal))) {
        session.refuse(refusalOf(new UserError('UNAUTHORIZED', 'the API key was revoked')));
      } else if (!sfuAt([placed.home], row?.place ?? null) && (await this.#hasMoved(seat))) {
        session.moveAway();
      }
    }
  }

  /** The list may be of a former leader of the store: nobody is sent away on its word. */
  async #hasMoved({ principal, placed }: Seat): Promise<boolean> {
    const row = await this.#rooms.get(principal.namespace, placed.row.roomId);
    return sfuAt([placed.home], row?.place ?? null) === undefined;
  }
}
