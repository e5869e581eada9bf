import { type Check, type Finding, ok } from '../check.ts';

/** Credentials, certificates and signed calls stand more than this; people who compare logs do not. */
const WARNING_MS = 2_000;
/** Calls between nodes are refused at 60 s. */
const CRITICAL_MS = 30_000;

export const clockSkew: Check = {
  id: 'clock-skew',
  question: 'do the clocks of the nodes agree?',
  needs: ['nodes'],
  judge({ clocks }) {
    const middle = median([...clocks.values()].map(({ aheadMs }) => aheadMs));
    const findings = [...clocks].map(([node, { aheadMs, uncertainMs }]): Finding => {
      const off = aheadMs - middle;
      const certain = Math.max(0, Math.abs(off) - uncertainMs);
      const seen = `${showSeconds(Math.abs(off))} ${off < 0 ? 'behind' : 'ahead of'} the middle of the nodes (± ${Math.ceil(uncertainMs)} ms)`;
      if (certain < WARNING_MS) return ok(seen, { node });
      return {
        severity: certain < CRITICAL_MS ? 'warning' : 'critical',
        node,
        seen,
        mend: `on ${node}: timedatectl set-ntp true, and look at timedatectl timesync-status`,
      };
    });
    if (Math.abs(middle) >= WARNING_MS && clocks.size > 0) {
      findings.push({
        severity: 'warning',
        seen: `this machine's clock is ${showSeconds(Math.abs(middle))} ${middle > 0 ? 'behind' : 'ahead of'} that of the nodes`,
        mend: 'timedatectl set-ntp true',
      });
    }
    return findings;
  },
};

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function showSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}
