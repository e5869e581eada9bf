import { describe, expect, test } from 'vitest';
import { FlowWatch, pairTotals } from './flow-watch.ts';

/** What each reading said, as a row of + and letters: `x` where the path counts as dead. */
function judge(readings: [received: number, sent: number][]): string {
  const watch = new FlowWatch();
  return readings.map(([received, sent]) => (watch.isDead(received, sent) ? 'x' : '+')).join('');
}

describe('FlowWatch', () => {
  test('calls a path dead at the third poll that hears nothing although we send', () => {
    const readings: [number, number][] = [1, 2, 3, 3, 3, 3].map((received, index) => [received, index]);
    expect(judge(readings)).toBe('+++++x');
  });

  test('asks nothing of a path on which we do not send either', () => {
    const readings: [number, number][] = [1, 2, 3, 3, 3, 3, 3, 3].map((received) => [received, 7]);
    expect(judge(readings)).toBe('++++++++');
  });

  test('asks nothing of a path that never spoke', () => {
    const readings: [number, number][] = [0, 0, 0, 0, 0, 0].map((received, index) => [received, index]);
    expect(judge(readings)).toBe('++++++');
  });

  test('one word is enough to start over', () => {
    const readings: [number, number][] = [1, 2, 3, 3, 3, 4, 4, 4].map((received, index) => [received, index]);
    expect(judge(readings)).toBe('++++++++');
  });
});

test('pairTotals() adds up all pairs and nothing else', () => {
  const report: [string, unknown][] = [
    ['a', { type: 'candidate-pair', bytesReceived: 1, bytesSent: 2 }],
    ['b', { type: 'candidate-pair', bytesReceived: 10 }],
    ['c', { type: 'transport', bytesReceived: 100, bytesSent: 100 }],
  ];
  expect(pairTotals(report)).toEqual({ receivedBytes: 11, sentBytes: 2 });
});
