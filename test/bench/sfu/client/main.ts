// A process of clients, told by its parent what to do: publishers, a crowd that can be stopped, or one whose delays count.
import { processPort, Rpc } from '@orama/core';
import type { ClientMethods, JoinOrder, JoinOutcome, SendOrder, SendOutcome } from './client-process.ts';
import { joinJanus } from './janus-join.ts';
import type { Joined } from './joining.ts';
import { joinOrama } from './orama-join.ts';
import { nowMs } from './packet.ts';

const SLICE_MS = 1;

let joined: Joined[] = [];
/** Whose turn it is to send. */
let turn = 0;

const methods: ClientMethods = {
  /** Joins clients, some at a time; resolves when all are connected. */
  async join({ target, clients, atOnce, tracks }: JoinOrder): Promise<JoinOutcome> {
    const outcome: JoinOutcome = { feeds: [], wallMs: 0, firstPacketMs: [] };
    const startedMs = nowMs();
    const waiting = clients.entries();
    const work = async () => {
      for (const [i, { room, number, publish, feeds }] of waiting) {
        const beforeMs = nowMs();
        const request = { room, name: `c${number}`, ssrc: publish ? 100_000 + number : null, feeds, tracks };
        const client = target.kind === 'orama' ? await joinOrama(target, request) : await joinJanus(target, request);
        joined.push(client);
        outcome.feeds[i] = client.feed;
        await client.client.connected;
        if (tracks === 0) continue;
        await client.client.flowing;
        outcome.firstPacketMs.push(nowMs() - beforeMs);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    outcome.wallMs = nowMs() - startedMs;
    return outcome;
  },

  /** Sends from every publisher in turn, evenly. */
  async send({ rate, durationMs, size }: SendOrder): Promise<SendOutcome> {
    const startedMs = nowMs();
    for (let sent = 0, tried = 0; ; ) {
      const elapsedMs = nowMs() - startedMs;
      const due = Math.floor((Math.min(elapsedMs, durationMs) * rate) / 1000);
      for (; tried < due; tried++) if (joined[turn++ % joined.length]?.client.send(size)) sent++;
      if (elapsedMs >= durationMs) return { sent, lastedMs: nowMs() - startedMs };
      await new Promise((resolve) => setTimeout(resolve, SLICE_MS));
    }
  },

  /** What arrived since the last call, at all clients of the process. */
  take() {
    const delays = joined.flatMap(({ client }) => client.takeDelays());
    return { delays: delays.sort((a, b) => a - b) };
  },

  leave(): void {
    for (const client of joined) client.close();
    joined = [];
  },
};

new Rpc(processPort(process), methods);
process.on('disconnect', () => process.exit(0));
