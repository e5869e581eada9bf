import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { KeyFrameRequests } from './key-frames.ts';
import { NackTracker } from './nack-tracker.ts';
import { MAX_CACHED_BYTES, PacketCache } from './packet-cache.ts';
import { Reception } from './reception.ts';

describe('NackTracker', () => {
  test('asks at once for a hole, again until it is filled, and gives up in the end', () => {
    const tracker = new NackTracker();
    tracker.record(65_534, 0);
    tracker.record(2, 10);
    expect(tracker.due(10)).toEqual([65_535, 0, 1]);
    expect(tracker.due(20)).toEqual([]);
    tracker.record(0, 34, true);
    // The answer took 24 ms: the others are asked for again after a little more.
    expect(tracker.due(34)).toEqual([]);
    expect(tracker.due(40)).toEqual([65_535, 1]);
    tracker.record(65_535, 75, true);
    tracker.record(1, 75, true);
    expect(tracker.hasMissing).toBe(false);
    // An answer that comes right after the second request was for the first.
    tracker.record(3, 80);
    tracker.record(5, 80);
    expect(tracker.due(80)).toEqual([4]);
    expect(tracker.due(80 + tracker.retryMs)).toEqual([4]);
    tracker.record(4, 80 + 40, true);
    expect(tracker.retryMs).toBeGreaterThan(30);
    tracker.record(7, 120);
    let times = 0;
    for (let nowMs = 120; nowMs < 5_000; nowMs += 50) times += tracker.due(nowMs).length;
    expect(times).toBe(10);
    expect(tracker.hasMissing).toBe(false);
    expect([tracker.takeGaveUp(), tracker.takeGaveUp()]).toEqual([true, false]);
  });

  test('packets that were overtaken are not asked for, once that has been seen, and teach nothing about the round trip', () => {
    const tracker = new NackTracker();
    let asked = 0;
    for (let i = 0; i < 100; i++) {
      const sequence = i * 2;
      tracker.record(sequence + 1, i * 20);
      asked += tracker.due(i * 20).length;
      tracker.record(sequence, i * 20 + 4);
      asked += tracker.due(i * 20 + 4).length;
    }
    expect(asked).toBeLessThanOrEqual(1);
    expect(tracker.retryMs).toBe(60);
    tracker.record(202, 2_000);
    expect(tracker.due(2_000)).toEqual([]);
    expect(tracker.due(2_010)).toEqual([200, 201]);
  });

  test('a hole too large to mend is told as a break of the stream', () => {
    const tracker = new NackTracker();
    tracker.record(0, 0);
    expect(tracker.record(300, 1)).toBe(true);
    expect(tracker.due(1)).toEqual([]);
    expect(tracker.record(301, 2)).toBe(false);
  });

  test('asks for exactly the packets that never came, in any order of arrival', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff }),
        fc.array(fc.boolean(), { minLength: 2, maxLength: 100 }),
        (base, arrived) => {
          const tracker = new NackTracker();
          const sequences = arrived.map((_, i) => (base + i) & 0xffff);
          tracker.record(base, 0);
          tracker.record(sequences.at(-1) as number, 0);
          sequences.forEach((sequence, i) => {
            if (arrived[i]) tracker.record(sequence, 0);
          });
          const missing = sequences.filter((_, i) => i > 0 && i < sequences.length - 1 && !arrived[i]);
          expect(tracker.due(0)).toEqual(missing);
        },
      ),
    );
  });
});

describe('KeyFrameRequests', () => {
  const UNKNOWN = { roundTripMs: Number.NaN };

  test('many wishes become one request, repeated every 300 ms until a key frame comes', () => {
    const sent: number[] = [];
    let nowMs = 0;
    const requests = new KeyFrameRequests(() => sent.push(nowMs) > 0, UNKNOWN);
    for (let i = 0; i < 10; i++) requests.request(nowMs);
    for (; nowMs <= 1_000; nowMs += 50) requests.tick(nowMs, true);
    expect(sent).toEqual([0, 300, 600, 900]);
    requests.onKeyFrame(nowMs);
    for (; nowMs <= 3_000; nowMs += 50) requests.tick(nowMs, true);
    expect(sent.length).toBe(4);
  });

  test('a request that was lost is repeated as soon as a key frame could have come, where the round trip is known', () => {
    const sent: number[] = [];
    let nowMs = 0;
    const requests = new KeyFrameRequests(() => sent.push(nowMs) > 0, { roundTripMs: 80 });
    requests.request(nowMs);
    for (; nowMs <= 450; nowMs += 50) requests.tick(nowMs, true);
    expect(sent).toEqual([0, 200, 400]);
    const far: number[] = [];
    const slow = new KeyFrameRequests(() => far.push(nowMs) > 0, { roundTripMs: 700 });
    for (nowMs = 0; nowMs <= 450; nowMs += 50) {
      if (nowMs === 0) slow.request(nowMs);
      slow.tick(nowMs, true);
    }
    expect(far).toEqual([0, 300]);
  });

  test('somebody joining ten times a second costs one key frame a second; after a quiet time a second one may follow soon', () => {
    const sent: number[] = [];
    let nowMs = 0;
    const requests = new KeyFrameRequests(() => sent.push(nowMs) > 0, UNKNOWN);
    for (; nowMs < 10_000; nowMs += 50) {
      if (nowMs % 100 === 0) requests.request(nowMs);
      requests.tick(nowMs, true);
      if (sent.at(-1) === nowMs - 50) requests.onKeyFrame(nowMs);
    }
    expect(sent.length).toBeGreaterThan(9);
    expect(sent.length).toBeLessThanOrEqual(12);
    expect(sent.slice(0, 2)).toEqual([0, 350]);
  });

  test('a silent publisher is asked once; one that cannot be asked yet later', () => {
    const sent: number[] = [];
    let nowMs = 0;
    let isOpen = false;
    const requests = new KeyFrameRequests(() => isOpen && sent.push(nowMs) > 0, UNKNOWN);
    requests.request(nowMs);
    isOpen = true;
    nowMs = 50;
    requests.tick(nowMs, false);
    for (; nowMs <= 2_000; nowMs += 50) requests.tick(nowMs, false);
    expect(sent).toEqual([50]);
  });
});

describe('PacketCache', () => {
  afterEach(() => vi.restoreAllMocks());

  const packet = (index: number, bytes = 4) => Buffer.alloc(bytes, index & 0xff);

  test('gives back copies of the packets it still has and never another one under their number', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff }),
        fc.integer({ min: 1, max: 1_500 }),
        fc.integer({ min: 1, max: 700 }),
        fc.integer({ min: 0, max: 0xffff }),
        (base, count, bytes, asked) => {
          const cache = new PacketCache(65_536);
          const target = Buffer.alloc(MAX_CACHED_BYTES);
          const written = packet(0, bytes);
          for (let i = 0; i < count; i++) {
            cache.put((base + i) & 0xffff, written.fill(i & 0xff), 0);
          }
          expect(cache.bytes).toBeLessThanOrEqual(65_536);
          const index = (asked - base) & 0xffff;
          const [sure, never] = [count - Math.floor(32_768 / bytes), count - 2 * Math.floor(32_768 / bytes) - 1];
          if (index < count && index >= sure) expect(cache.has(asked)).toBe(true);
          if (index >= count || index < never) expect(cache.has(asked)).toBe(false);
          const length = cache.copy(asked, target);
          expect(length).toBe(cache.has(asked) ? bytes : 0);
          if (length > 0) expect(target.subarray(0, length)).toEqual(packet(index, bytes));
        },
      ),
    );
  });

  test('grows with the bitrate so that a second and a half is kept, and gives everything back in silence', () => {
    const cache = new PacketCache(3_000_000);
    const perSecond = 900;
    for (let i = 0; i < perSecond * 10; i++) {
      cache.put(i & 0xffff, packet(i, 1_100), i * (1_000 / perSecond));
      const old = i - Math.floor(perSecond * 1.45);
      if (old >= 0) expect(cache.has(old & 0xffff)).toBe(true);
    }
    expect(cache.bytes).toBeLessThan(1_100 * perSecond * 1.6 + 65_536);
    cache.trim(10_000);
    expect(cache.bytes).toBeGreaterThan(1_000_000);
    cache.trim(13_100);
    expect(cache.bytes).toBe(0);
    expect(cache.has((perSecond * 10 - 1) & 0xffff)).toBe(false);
  });

  test('takes no new memory while a stream flows as before', () => {
    const cache = new PacketCache(3_000_000);
    const allocated = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const written = packet(0, 1_100);
    const flow = (fromMs: number, untilMs: number) => {
      for (let nowMs = fromMs; nowMs < untilMs; nowMs++) {
        cache.put(nowMs & 0xffff, written, nowMs);
        if (nowMs % 50 === 0) cache.trim(nowMs);
      }
    };
    flow(0, 2_000);
    expect(allocated).toHaveBeenCalled();
    allocated.mockClear();
    flow(2_000, 10_000);
    expect(allocated).not.toHaveBeenCalled();
  });

  test('knows what came already when it is no longer kept, and of what is older than all it knows that it is not new', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 1, max: 5_000 }), (base, count) => {
        const cache = new PacketCache(65_536);
        expect(cache.isNew(base)).toBe(true);
        for (let i = 0; i < count; i++) if (i % 7 !== 3) cache.put((base + i) & 0xffff, packet(i), i);
        cache.put((base + count) & 0xffff, Buffer.alloc(MAX_CACHED_BYTES + 1), count);
        cache.trim(count + 10_000);
        expect(cache.isNew((base + count) & 0xffff)).toBe(false);
        expect(cache.isNew((base + count + 1) & 0xffff)).toBe(true);
        for (let i = 0; i < count; i++) {
          const isNew = cache.isNew((base + i) & 0xffff);
          if (i % 7 !== 3) expect(isNew).toBe(false);
          else if (i > count - 100) expect(isNew).toBe(true);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('never takes more than its bytes, whatever comes, and leaves out what no path carries', () => {
    const cache = new PacketCache(100_000);
    for (let i = 0; i < 5_000; i++) cache.put(i, packet(i, 1_200), 0);
    expect(cache.bytes).toBeLessThanOrEqual(100_000);
    cache.put(6_000, Buffer.alloc(MAX_CACHED_BYTES + 1), 0);
    expect(cache.has(6_000)).toBe(false);
    cache.clear();
    expect(cache.has(4_999)).toBe(false);
  });
});

describe('Reception', () => {
  test('reports loss, highest sequence with cycles and the delay since the sender report (RFC 3550 section 6.4.1)', () => {
    const reception = new Reception(90_000);
    expect(reception.report(7, 0)).toBeNull();
    for (const sequence of [65_534, 65_535, 2, 3]) reception.record(sequence, 0, 0);
    reception.recordSenderReport(
      {
        type: 'sr',
        ssrc: 7,
        ntpSeconds: 0x12345678,
        ntpFraction: 0x9abcdef0,
        rtpTimestamp: 0,
        packetCount: 0,
        octetCount: 0,
        reports: [],
      },
      1_000,
    );
    expect(reception.report(7, 1_500)).toMatchObject({
      ssrc: 7,
      fractionLost: Math.floor((2 * 256) / 6),
      packetsLost: 2,
      highestSequence: 0x10003,
      lastSenderReport: 0x56789abc,
      delaySinceLastSenderReport: 32_768,
    });
    reception.record(4, 0, 0);
    expect(reception.report(7, 2_000)).toMatchObject({ fractionLost: 0, packetsLost: 2 });
  });

  test('reports nothing about a stream of which nothing came since the last report, and goes on when something does', () => {
    const reception = new Reception(90_000);
    reception.record(1, 0, 0);
    expect(reception.report(7, 1_000)).not.toBeNull();
    expect(reception.report(7, 2_000)).toBeNull();
    reception.record(4, 0, 2_500);
    expect(reception.report(7, 3_000)).toMatchObject({ fractionLost: Math.floor((2 * 256) / 3), packetsLost: 2 });
  });

  test('jitter follows appendix A.8: constant spacing has none, a late packet adds a sixteenth of its delay', () => {
    const reception = new Reception(90_000);
    for (let i = 0; i < 50; i++) reception.record(i, i * 1_800, i * 20);
    expect(reception.report(1, 0)?.jitter).toBe(0);
    reception.record(50, 50 * 1_800, 50 * 20 + 16);
    expect(reception.report(1, 0)?.jitter).toBe(90);
  });
});
