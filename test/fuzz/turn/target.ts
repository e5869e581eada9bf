import { listCounts, type Target } from '../rounds.ts';
import { fuzzTurn } from './fuzzer.ts';
import type { Mode } from './server-under-test.ts';

/** The TURN server. */
export const turnTarget: Target = {
  shares: { handed: 50, batched: 25, threads: 25 } satisfies Record<Mode, number>,
  async fuzz(mode, options) {
    const { inputs, answers, relayedToPeer, relayedToClient, memory } = await fuzzTurn(mode as Mode, options);
    const sorted = [...answers].sort(([a], [b]) => a - b).map(([code, count]) => [code || 200, count] as const);
    const lines = [
      listCounts(Object.entries(inputs)),
      `answers: ${listCounts(sorted)}`,
      `relayed: ${relayedToPeer} to peers, ${relayedToClient} to clients`,
    ];
    return { lines, memory };
  },
};
