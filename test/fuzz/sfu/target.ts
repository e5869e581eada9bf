import { listCounts, type Target } from '../rounds.ts';
import { fuzzSfu } from './fuzzer.ts';
import type { Mode } from './host.ts';

/** The SFU. */
export const sfuTarget: Target = {
  shares: { handed: 80, wire: 20 } satisfies Record<Mode, number>,
  async fuzz(mode, options) {
    const { inputs, answers, sentRtp, sentRtcp, memory } = await fuzzSfu(mode as Mode, options);
    const lines = [
      listCounts(Object.entries(inputs)),
      `answers: ${listCounts([...answers].sort())}`,
      `sent on: ${sentRtp} RTP, ${sentRtcp} RTCP`,
    ];
    return { lines, memory };
  },
};
