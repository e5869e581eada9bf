import type { Clock } from '@orama/core';
import type { NodesRepository, PortAllocationsRepository, RoomRow, RoomsRepository } from '@orama/store';
import { notEnabled } from '../webrtc-settings.ts';
import { type Candidate, chooseSfu } from './choose-sfu.ts';
import { SfuCallError, type SfuClient } from './sfu-client.ts';
import { authorityOf, listSfus, type Sfu, sfuAt } from './sfus.ts';

/** A room, the SFU that holds it, and the one that serves the caller: mostly the same. */
export interface PlacedRoom {
  row: RoomRow;
  home: Sfu;
  sfu: Sfu;
}

/** Who is to be placed. */
export interface Caller {
  /** Nodes whose SFU has failed it already. */
  failed: ReadonlySet<string>;
  /** It has to be where the room is held. */
  atHome?: boolean;
  /** The node whose SFU knows it from before, '' for the home's, undefined for none; asked only where that matters. */
  known?: () => Promise<string | undefined>;
}

/** What is known of an SFU: its own word, or that no process is there, or that nothing came back in time. A busy one keeps its rooms. */
interface Condition {
  state: 'ok' | 'busy' | 'draining' | 'absent' | 'silent';
  peers: number;
}

/** An SFU that failed somebody must answer before it is trusted again, for so long. */
const SUSPECT_MS = 5_000;
/** An SFU that had no room for somebody is not asked to serve the same room again, for so long. */
const FULL_MS = 10_000;
/** An SFU's health is asked for at most so often. */
const HEALTH_CACHE_MS = 500;
/** How often a placement is tried anew because the row changed under it. */
const MAX_ROUNDS = 6;

/**
 * Finds the SFU of a room. The row decides; it is claimed in one statement, so that of several gateways one wins and
 * the others follow. A room moves only when its SFU failed a caller, drains, or is no longer one of the namespace's.
 */
export class RoomPlacer {
  readonly #rooms: RoomsRepository;
  readonly #ports: PortAllocationsRepository;
  readonly #nodes: NodesRepository;
  readonly #client: SfuClient;
  readonly #clock: Clock;
  readonly #suspectUntil = new Map<string, number>();
  /** SFUs that took no more peers in a room, which may be on one of several processes there, by both. */
  readonly #fullUntil = new Map<string, number>();
  readonly #health = new Map<string, { atMs: number; answer: Promise<Condition> }>();

  constructor(options: {
    rooms: RoomsRepository;
    ports: PortAllocationsRepository;
    nodes: NodesRepository;
    client: SfuClient;
    clock: Clock;
  }) {
    this.#rooms = options.rooms;
    this.#ports = options.ports;
    this.#nodes = options.nodes;
    this.#client = options.client;
    this.#clock = options.clock;
  }

  /**
   * The room with its SFU, claimed now if it has none that works. Null when no SFU can take it.
   * @throws UserError WEBRTC_NOT_ENABLED when WebRTC was disabled meanwhile
   */
  async place(namespace: string, roomId: string, caller: Caller): Promise<PlacedRoom | null> {
    const { failed } = caller;
    const sfus = await listSfus(this.#ports, namespace);
    let row = await this.#rooms.get(namespace, roomId);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const current = sfuAt(sfus, row?.place ?? null);
      if (row && current && !failed.has(current.nodeId) && (await this.#isUsable(current))) {
        if (await this.#rooms.touch(row, this.#clock.now()))
          return { row, home: current, sfu: await this.#serverOf(row, current, sfus, caller) };
        row = await this.#rooms.get(namespace, roomId);
        continue;
      }
      const candidates = await this.#candidates(sfus.filter((sfu) => !failed.has(sfu.nodeId)));
      const chosen = chooseSfu(candidates, namespace, roomId);
      if (!chosen) return null;
      row = await this.#rooms.claim({
        namespace,
        roomId,
        place: { nodeId: chosen.nodeId, internalIp: chosen.address, signalingPort: chosen.port },
        seenGeneration: row?.generation ?? null,
        nowMs: this.#clock.now(),
      });
      if (!row) throw notEnabled(namespace);
    }
    return null;
  }

  /** Notes that an SFU failed a caller, so that its silence counts against it for a while. */
  suspect(sfu: Sfu): void {
    this.#note(this.#suspectUntil, authorityOf(sfu), SUSPECT_MS);
    this.#health.delete(authorityOf(sfu));
  }

  /** Notes that the SFU has no room for another peer in the room: for a while others serve who comes. */
  noteFull({ row, sfu }: PlacedRoom): void {
    this.#note(this.#fullUntil, placeOf(row, sfu), FULL_MS);
  }

  #note(notes: Map<string, number>, what: string, forMs: number): void {
    const nowMs = this.#clock.monotonic();
    for (const [noted, untilMs] of notes) if (untilMs <= nowMs) notes.delete(noted);
    notes.set(what, nowMs + forMs);
  }

  #isFull(row: RoomRow, sfu: Sfu): boolean {
    return (this.#fullUntil.get(placeOf(row, sfu)) ?? 0) > this.#clock.monotonic();
  }

  /**
   * Whether a room stays where it is: not on positive evidence against its SFU, nor on silence after it failed somebody
   * or while its node is unreachable.
   */
  async #isUsable(sfu: Sfu): Promise<boolean> {
    const { state } = await this.#ask(sfu);
    if (state !== 'silent') return state === 'ok' || state === 'busy';
    const node = (await this.#nodes.list()).find(({ id }) => id === sfu.nodeId);
    if (node?.reachable === false) return false;
    return (this.#suspectUntil.get(authorityOf(sfu)) ?? 0) <= this.#clock.monotonic();
  }

  /**
   * The SFU for a caller: the room's home, unless the room is spread or its home is busy or full. Then the one that knows
   * the caller, else the one with the fewest peers, the home among equals.
   */
  async #serverOf(row: RoomRow, home: Sfu, sfus: Sfu[], { failed, atHome, known }: Caller): Promise<Sfu> {
    const staysHome = !row.spread && !this.#isFull(row, home) && (await this.#ask(home)).state !== 'busy';
    if (atHome || staysHome) return home;
    const open = sfus.filter((sfu) => !failed.has(sfu.nodeId));
    const before = await known?.();
    if (before === '') return home;
    const knowing = open.find((sfu) => sfu.nodeId === before);
    if (knowing && (await this.#isUsable(knowing))) return knowing;
    const candidates = await this.#candidates(open.filter((sfu) => !this.#isFull(row, sfu)));
    const fewest = Math.min(...candidates.map(({ peers }) => peers));
    if (candidates.some(({ sfu, peers }) => sfu === home && peers === fewest)) return home;
    return chooseSfu(candidates, row.namespace, row.roomId) ?? home;
  }

  async #candidates(sfus: Sfu[]): Promise<Candidate[]> {
    const answers = await Promise.all(sfus.map(async (sfu) => ({ sfu, ...(await this.#ask(sfu)) })));
    return answers.filter(({ state }) => state === 'ok');
  }

  #ask(sfu: Sfu): Promise<Condition> {
    const nowMs = this.#clock.monotonic();
    for (const [authority, { atMs }] of this.#health) {
      if (nowMs - atMs >= HEALTH_CACHE_MS) this.#health.delete(authority);
    }
    const known = this.#health.get(authorityOf(sfu));
    if (known) return known.answer;
    const answer = this.#client.health(sfu).then(
      ({ status, peers }): Condition => ({ state: status, peers }),
      (thrown): Condition => ({
        state: thrown instanceof SfuCallError && thrown.absent ? 'absent' : 'silent',
        peers: 0,
      }),
    );
    this.#health.set(authorityOf(sfu), { atMs: nowMs, answer });
    return answer;
  }
}

function placeOf({ namespace, roomId }: RoomRow, sfu: Sfu): string {
  return [authorityOf(sfu), namespace, roomId].join('\0');
}
