import { describe, expect, test } from 'vitest';
import { FlowWatch, readFlow } from './flow-watch.ts';

/** Feeds one reading per total of received bytes, each with more sent than before unless told otherwise. */
function watched(received: number[], { hasMedia = true, isSending = true } = {}) {
  const watch = new FlowWatch();
  /** What each reading said: `x` where the path counts as dead. */
  const judged = received.map((receivedBytes, index) =>
    watch.isDead({ receivedBytes, sentBytes: isSending ? index : 7, hasMedia, sentPackets: 0, reports: 0 }) ? 'x' : '+',
  );
  return { verdicts: judged.join(''), isFlowing: watch.isFlowing };
}

describe('FlowWatch', () => {
  test('calls a path dead at the third poll that hears nothing although we send', () => {
    expect(watched([1, 2, 3, 3, 3, 3]).verdicts).toBe('+++++x');
  });

  test('does so on a path that died as soon as it was there', () => {
    expect(watched([900, 900, 900, 900]).verdicts).toBe('+++x');
    expect(watched([900, 950, 950, 950, 950]).verdicts).toBe('++++x');
  });

  test('asks nothing of a path on which we do not send either', () => {
    expect(watched([1, 2, 3, 3, 3, 3, 3, 3], { isSending: false }).verdicts).toBe('++++++++');
  });

  test('asks nothing of a path that never had media', () => {
    expect(watched([900, 900, 900, 900, 900, 900], { hasMedia: false }).verdicts).toBe('++++++');
  });

  test('one word is enough to start over', () => {
    expect(watched([1, 2, 3, 3, 3, 4, 4, 4]).verdicts).toBe('++++++++');
  });

  test('says that a path carries when two polls heard something; a pair that took its count along is none', () => {
    expect(watched([5, 6, 7]).isFlowing).toBe(true);
    expect(watched([5, 6, 6]).isFlowing).toBe(false);
    expect(watched([500, 5, 0, 1, 1]).isFlowing).toBe(false);
  });
});

/** What is proven after the last of these readings: bytes received, packets sent, reports about them. */
function proven(...readings: [receivedBytes: number, sentPackets: number, reports: number][]) {
  const watch = new FlowWatch();
  for (const [index, [receivedBytes, sentPackets, reports]] of readings.entries())
    watch.isDead({ receivedBytes, sentBytes: index, hasMedia: true, sentPackets, reports });
  return watch.proof;
}

describe('FlowWatch.proof', () => {
  test('is nothing before two readings differ', () => {
    expect(proven()).toBe('none');
    expect(proven([5, 5, 5])).toBe('none');
  });

  test('is both ways as long as reports come in and media does', () => {
    expect(proven([1, 1, 1], [2, 2, 2])).toBe('both-ways');
    expect(proven([1, 1, 1], [2, 2, 2], [3, 3, 2], [4, 4, 2])).toBe('both-ways');
  });

  test('is nothing when three polls brought no report of what was sent, or nothing came', () => {
    expect(proven([1, 1, 1], [2, 2, 2], [3, 3, 2], [4, 4, 2], [5, 5, 2])).toBe('none');
    expect(proven([1, 1, 1], [2, 2, 2], [2, 3, 3])).toBe('none');
    expect(proven([1, 1, 0], [2, 2, 0])).toBe('none');
  });

  test('is inwards where nothing is sent that would be reported', () => {
    expect(proven([1, 0, 0], [2, 0, 0])).toBe('inwards');
  });
});

test('readFlow() adds up all pairs and nothing else, and finds media in either direction', () => {
  const pairs: [string, unknown][] = [
    ['a', { type: 'candidate-pair', bytesReceived: 1, bytesSent: 2 }],
    ['b', { type: 'candidate-pair', bytesReceived: 10 }],
    ['c', { type: 'transport', bytesReceived: 100, bytesSent: 100, packetsSent: 100 }],
    ['d', { type: 'outbound-rtp', bytesSent: 100, packetsSent: 0 }],
  ];
  const nothing = { receivedBytes: 11, sentBytes: 2, hasMedia: false, sentPackets: 0, reports: 0 };
  expect(readFlow(pairs)).toEqual(nothing);
  const reports: [string, unknown][] = [2, 3].map((roundTripTimeMeasurements) => [
    `report ${roundTripTimeMeasurements}`,
    { type: 'remote-inbound-rtp', packetsReceived: 9, roundTripTimeMeasurements },
  ]);
  expect(readFlow([...pairs, ...reports])).toEqual({ ...nothing, reports: 5 });
  for (const entry of [
    { type: 'outbound-rtp', packetsSent: 1 },
    { type: 'inbound-rtp', packetsReceived: 1 },
  ]) {
    expect(readFlow([...pairs, ['e', entry]]).hasMedia).toBe(true);
  }
});
