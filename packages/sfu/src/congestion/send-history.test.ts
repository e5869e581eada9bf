import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SendHistory } from './send-history.ts';

test('SendHistory numbers packets on from 0 across the wrap, and knows each by its 16 bits', () => {
  const history = new SendHistory();
  for (let i = 0; i < 70_000; i++) expect(history.record(100, i, 0)).toBe(i & 0xffff);
  expect(history.unwrap(69_999 & 0xffff)).toBe(69_999);
  expect(history.unwrap(69_900 & 0xffff)).toBe(69_900);
  expect(history.unwrap(65_535)).toBe(65_535);
});

test('SendHistory counts a packet once as received, and one that was reported lost once more when it comes', () => {
  const history = new SendHistory();
  history.record(100, 1, 0);
  history.record(200, 2, 7);
  expect(history.report(0, true)).toBe('received');
  expect(history.report(0, true)).toBe('repeated');
  expect(history.report(0, false)).toBe('repeated');
  expect(history.report(1, false)).toBe('lost');
  expect(history.report(1, false)).toBe('repeated');
  expect(history.report(1, true)).toBe('received-late');
  expect([history.sentMs(1), history.bytes(1), history.cluster(1)]).toEqual([2, 200, 7]);
});

test('SendHistory learns nothing from reports about a number under which the packet was sent twice', () => {
  const history = new SendHistory();
  for (let i = 0; i < 4; i++) history.record(100, i, 0);
  history.report(0, true);
  history.report(1, false);
  // Only the loss of the third was not known yet.
  expect([0, 1, 2, 9].map((sequence) => history.repeat(sequence))).toEqual([false, false, true, false]);
  for (const sequence of [0, 1, 2])
    expect([history.report(sequence, false), history.report(sequence, true)]).toEqual(['repeated', 'repeated']);
  expect(history.report(3, true)).toBe('received');
});

test('SendHistory knows nothing of packets that were never sent or are long gone', () => {
  const history = new SendHistory();
  for (let i = 0; i < 20_000; i++) history.record(100, i / 10, 0);
  expect(history.report(20_000, true)).toBe('unknown');
  expect(history.report(-1, true)).toBe('unknown');
  expect(history.report(100, true)).toBe('unknown');
  expect(history.report(19_999, true)).toBe('received');
});

test('SendHistory keeps what was sent in the last two seconds while its ring grows', () => {
  const history = new SendHistory();
  for (let i = 0; i < 5_000; i++) history.record(i % 1_000, i / 2.5, i % 3);
  for (let i = 10; i < 5_000; i++) {
    expect(history.report(i, true)).toBe('received');
    expect([history.sentMs(i), history.bytes(i), history.cluster(i)]).toEqual([i / 2.5, i % 1_000, i % 3]);
  }
});

test('SendHistory takes any reports at any time', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(70_000), fc.boolean(), fc.nat(300)), { maxLength: 100 }), (steps) => {
      const history = new SendHistory();
      let timeMs = 0;
      for (const [number, received, packets] of steps) {
        for (let i = 0; i < packets; i++) history.record(1_200, timeMs++, 0);
        const sequence = history.unwrap(number & 0xffff);
        const report = history.report(sequence, received);
        if (sequence < 0 || sequence >= history.count) expect(report).toBe('unknown');
      }
    }),
  );
});

test('SendHistory knows nothing before the first packet', () => {
  const history = new SendHistory();
  expect(history.unwrap(0xffff)).toBe(-1);
  for (const sequence of [-1, 0, 1]) expect(history.report(sequence, true)).toBe('unknown');
});
