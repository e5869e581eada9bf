import type { Clock } from '@orama/core';
import { EMPTY_ROOM_MS } from '@orama/protocol';

/** Without clients of its own, an SFU serves a room that another one holds for so long. */
const SERVED_FOR_NOBODY_MS = 10_000;

/** How long a room has been there, when something happened in it, and when it is over because nothing does. */
export class RoomLifetime {
  readonly #clock: Clock;
  readonly #isHeldHere: boolean;
  readonly #createdMs: number;
  #activeMs: number;
  #servedMs: number;

  /** @param isHeldHere it is not a part of a room that another SFU holds */
  constructor(clock: Clock, isHeldHere: boolean) {
    this.#clock = clock;
    this.#isHeldHere = isHeldHere;
    this.#createdMs = this.#activeMs = this.#servedMs = clock.now();
  }

  /** ISO 8601. */
  get createdAt(): string {
    return new Date(this.#createdMs).toISOString();
  }

  /** ISO 8601. */
  get lastActivity(): string {
    return new Date(this.#activeMs).toISOString();
  }

  /** Something happened in the room, here or elsewhere. */
  noteActivity(): void {
    this.#activeMs = this.#clock.now();
  }

  /** A peer came here, or left. */
  noteService(): void {
    this.#activeMs = this.#servedMs = this.#clock.now();
  }

  /** Whether nobody is in the room, and nobody was for a while. @param links to other SFUs that serve it */
  isOver(nowMs: number, peers: number, links: number): boolean {
    if (peers > 0) return false;
    if (!this.#isHeldHere) return nowMs - this.#servedMs >= SERVED_FOR_NOBODY_MS;
    return links === 0 && nowMs - this.#activeMs >= EMPTY_ROOM_MS;
  }
}
