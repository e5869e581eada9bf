import { SIGNATURE_HEADER, sfuControlKey, signRequest } from '@orama/core';
import { EMPTY_ROOM_MS, type SfuRoom, sfuRoomListSchema } from '@orama/protocol';
import type { RoomRow, SfuAllocationRow, Statement } from '@orama/store';
import { callHttp } from '../http-call.ts';
import type { NodeContext } from '../node-context.ts';
import { Stillness } from '../reconcile/stillness.ts';
import type { Task } from '../reconcile/task.ts';

const INTERVAL_MS = 2_000;
/** Activity of a busy room is not worth a write more often. */
const ACTIVITY_STEP_MS = 10_000;

/** A row and what its SFU, which answered, has of it. */
interface SeenRoom {
  row: RoomRow;
  room: SfuRoom | undefined;
}

type RoomsContext = Pick<NodeContext, 'config' | 'store' | 'view' | 'sfuSecretOf' | 'clock' | 'logger'>;

/** Keeps the rows of the rooms on this node's SFUs up to date, and removes those that are empty for long. */
export class RoomsTask implements Task {
  readonly name = 'rooms';
  readonly #context: RoomsContext;
  readonly #activity = new Stillness();
  #ranAtMs = Number.NEGATIVE_INFINITY;

  constructor(context: RoomsContext) {
    this.#context = context;
  }

  async report(): Promise<number | null> {
    const { config, store, view, clock, logger } = this.#context;
    const dueMs = this.#ranAtMs + INTERVAL_MS - clock.monotonic();
    if (dueMs > 0) return dueMs;
    this.#ranAtMs = clock.monotonic();
    const rows = Map.groupBy(await store.rooms.listOnNode(config.node), (row) => row.namespace);
    if (rows.size === 0) return null;
    const seen: SeenRoom[] = [];
    for (const { config: settings, wanted, sfu, leaving } of (await view.read()).desired.values()) {
      const here = sfu.find((row) => row.nodeId === config.node);
      const leaves = leaving.some((row) => row.service === 'sfu' && row.nodeId === config.node);
      const ours = rows.get(settings.namespace);
      if (!wanted || leaves || !ours) continue;
      try {
        // The rooms of an SFU that left are where their clients come back to; those that nobody came back to are empty.
        const rooms = here ? await this.#roomsOf(here) : [];
        seen.push(...ours.map((row) => ({ row, room: rooms.find((one) => one.room === row.roomId) })));
      } catch (thrown) {
        // An SFU that does not answer tells nothing about its rooms.
        logger.debug({ ns: settings.namespace, err: thrown }, 'rooms cannot be read');
      }
    }
    const now = clock.monotonic();
    const stills = this.#activity.look(new Map(seen.map((each) => [keyOf(each), activityOf(each)])), now, now);
    const statements = seen.flatMap((each) => this.#statementsOf(each, stills.get(keyOf(each))?.forMs ?? 0));
    if (statements.length > 0) await store.db.batch(statements);
    return null;
  }

  /** @param stillMs for how long nothing has happened in the room, by this node's clock */
  #statementsOf({ row, room }: SeenRoom, stillMs: number): Statement[] {
    const { store } = this.#context;
    const participantCount = room?.participants.length ?? 0;
    const lastActivityMs = room ? Date.parse(room.lastActivity) : row.lastActivityMs;
    const moved = participantCount !== row.participantCount || lastActivityMs - row.lastActivityMs > ACTIVITY_STEP_MS;
    const idle = participantCount === 0 && row.createdBy === 'join' && stillMs > EMPTY_ROOM_MS;
    const { namespace, roomId, generation } = row;
    return [
      ...(moved
        ? [store.rooms.updateActivity({ namespace, roomId, generation, participantCount, lastActivityMs })]
        : []),
      ...(idle ? [store.rooms.removeIdle(row)] : []),
    ];
  }

  async #roomsOf(sfu: SfuAllocationRow): Promise<SfuRoom[]> {
    const { sfuSecretOf, clock } = this.#context;
    const key = sfuControlKey(sfuSecretOf(sfu.namespace));
    const headers = { [SIGNATURE_HEADER]: signRequest(key, 'GET', '/rooms', '', clock.now()) };
    const answer = await callHttp({ address: sfu.hostIp, port: sfu.signalingPort }, 'GET', '/rooms', { headers });
    if (answer.status !== 200) throw new Error(`the SFU answered ${answer.status}`);
    return sfuRoomListSchema.parse(JSON.parse(answer.body)).rooms;
  }
}

function keyOf({ row }: SeenRoom): string {
  return `${row.namespace} ${row.roomId}`;
}

/** Another value whenever somebody joins, leaves, or is about to join. */
function activityOf({ row, room }: SeenRoom): string {
  return `${row.generation} ${row.lastActivityMs} ${room?.lastActivity} ${room?.participants.length}`;
}
