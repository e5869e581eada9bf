import { ClientProcess, type JoinOutcome } from './client/client-process.ts';
import type { Target } from './engine.ts';
import { PACKET_BYTES } from './scenarios.ts';

const CLIENT_CORE = 1;
/** At a time, where joining is not what is measured. */
const AT_ONCE = 25;
/** A little traffic while clients join: packets a second of each publisher, and out of the server at most. */
const TRICKLE = { each: 50, out: 10_000 };
const TRICKLE_MS = 200;

/** A room with its publishers in it. */
export interface Room {
  readonly name: string;
  readonly publishers: number;
  /** As the SFU names them, where it wants to be told. */
  readonly feeds: readonly number[];
}

export interface Watching {
  /** A client for each entry. */
  rooms: readonly Room[];
  /** How many join at a time. */
  atOnce?: number;
  /** Waits until each client sees all publishers of its room. */
  media: boolean;
}

/** All clients of an SFU: who sends, few whose packets are looked at, and a crowd that is stopped while packets are counted. */
export class Clients {
  readonly senders = new ClientProcess(CLIENT_CORE);
  readonly probe = new ClientProcess(CLIENT_CORE);
  readonly crowd = new ClientProcess(CLIENT_CORE);
  readonly #target: Target;
  #rooms = 0;
  #clients = 0;
  #publishers = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Makes new rooms with publishers in each; resolves when all are connected. */
  async publish(rooms: number, publishers: number): Promise<Room[]> {
    const names = Array.from({ length: rooms }, () => `room-${++this.#rooms}`);
    const clients = names.flatMap((room) =>
      Array.from({ length: publishers }, () => ({ room, number: ++this.#clients, publish: true, feeds: null })),
    );
    const { feeds } = await this.senders.call('join', {
      target: this.#target,
      clients,
      atOnce: AT_ONCE,
      tracks: 0,
    });
    this.#publishers += clients.length;
    return names.map((name, i) => ({
      name,
      publishers,
      feeds: feeds.slice(i * publishers, (i + 1) * publishers).filter((feed) => feed !== null),
    }));
  }

  /** Joins those who watch a room, in one of the processes; resolves when all are connected. */
  watch(via: ClientProcess, { rooms, media, atOnce = AT_ONCE }: Watching): Promise<JoinOutcome> {
    return via.call('join', {
      target: this.#target,
      clients: rooms.map(({ name, feeds }) => ({ room: name, number: ++this.#clients, publish: false, feeds })),
      atOnce,
      tracks: media ? (rooms[0]?.publishers ?? 0) : 0,
    });
  }

  /** Sends a little from every publisher until something is done. @param fanOut subscribers of each */
  async whileSending<T>(fanOut: number, done: Promise<T>): Promise<T> {
    let isDone = false;
    const finished = done.finally(() => {
      isDone = true;
    });
    const rate = Math.min(this.#publishers * TRICKLE.each, TRICKLE.out / fanOut);
    const order = { rate, durationMs: TRICKLE_MS, size: PACKET_BYTES };
    while (!isDone) await Promise.race([finished, this.senders.call('send', order)]);
    return finished;
  }

  async leave(): Promise<void> {
    this.crowd.thaw();
    for (const clients of [this.senders, this.probe, this.crowd]) await clients.call('leave');
    this.#publishers = 0;
  }

  async end(): Promise<void> {
    for (const clients of [this.senders, this.probe, this.crowd]) await clients.end();
  }
}
