import { listCounts, type Target } from '../rounds.ts';
import { fuzzSfu } from './fuzzer.ts';
import type { Mode } from './host.ts';

/** The SFU. */
export const sfuTarget: Target = {
  shares: { handed: 80, wire: 20 } satisfies Record<Mode, number>,
  async fuzz(mode, options) {
    const { reach, answers, sentRtp, sentRtcp, memory } = await fuzzSfu(mode as Mode, options);
    const taken = [...reach.sent.keys()].flatMap((kind) => {
      const share = reach.shareOf(kind);
      return share === undefined ? [] : [`${kind} ${Math.round(share * 100)} %`];
    });
    const lines = [
      listCounts(reach.sent),
      `taken: ${taken.join(', ')}`,
      `reached: ${listCounts(reach.counters)}`,
      `answers: ${listCounts([...answers].sort())}`,
      `sent on: ${sentRtp} RTP, ${sentRtcp} RTCP`,
    ];
    return { lines, memory };
  },
};
