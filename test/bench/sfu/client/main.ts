// A process of clients, told by its parent what to do: publishers, a crowd that can be stopped, or one whose delays count.
import { processPort, Rpc } from '@orama/core';
import type { ClientMethods, JoinOrder, JoinOutcome, SendOrder } from './client-process.ts';
import { joinJanus } from './janus-join.ts';
import type { Joined } from './joining.ts';
import { joinOrama } from './orama-join.ts';
import { nowMs } from './packet.ts';

const CONCURRENCY = 10;
const SLICE_MS = 1;

let joined: Joined[] = [];

const methods: ClientMethods = {
  /** Joins clients, some at a time; resolves when all are connected. */
  async join({
    target,
    room,
    first,
    count,
    publish,
    feeds,
    media,
    atOnce = CONCURRENCY,
  }: JoinOrder): Promise<JoinOutcome> {
    const outcome: JoinOutcome = { feeds: [], wallMs: 0, firstPacketMs: [] };
    const startedMs = nowMs();
    const waiting = Array.from({ length: count }, (_, i) => first + i);
    const work = async () => {
      for (let n = waiting.shift(); n !== undefined; n = waiting.shift()) {
        const beforeMs = nowMs();
        const request = { room, name: `c${n}`, ssrc: publish ? 100_000 + n : null, feeds };
        const client = target.kind === 'orama' ? await joinOrama(target, request) : await joinJanus(target, request);
        joined.push(client);
        if (client.feed !== null) outcome.feeds.push(client.feed);
        await client.client.connected;
        if (!media) continue;
        await client.client.firstPacket;
        outcome.firstPacketMs.push(nowMs() - beforeMs);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    outcome.wallMs = nowMs() - startedMs;
    return outcome;
  },

  /** Sends from every publisher in turn, evenly; resolves with how many packets went out. */
  async send({ rate, durationMs, size }: SendOrder): Promise<number> {
    const startedMs = nowMs();
    let sent = 0;
    for (let turn = 0; ; ) {
      const elapsedMs = nowMs() - startedMs;
      const due = Math.floor((Math.min(elapsedMs, durationMs) * rate) / 1000);
      for (; turn < due; turn++) if (joined[turn % joined.length]?.client.send(size)) sent++;
      if (elapsedMs >= durationMs) return sent;
      await new Promise((resolve) => setTimeout(resolve, SLICE_MS));
    }
  },

  /** What arrived since the last call, at all clients of the process. */
  take() {
    const delays = joined.flatMap(({ client }) => client.takeDelays());
    return { received: delays.length, delays: delays.sort((a, b) => a - b) };
  },

  leave(): void {
    for (const client of joined) client.close();
    joined = [];
  },
};

new Rpc(processPort(process), methods);
process.on('disconnect', () => process.exit(0));
