import { describe, expect, test } from 'vitest';
import { type SourceLimitOptions, SourceLimits, sourceLimitMemory } from './source-limits.ts';

const OPTIONS: SourceLimitOptions = {
  unauthenticatedRate: { burst: 2, perSec: 1 },
  maxTcpConnections: 3,
  maxTcpConnectionsPerSource: 2,
};
const START = 1_700_000_000_000;

/** Limits as two workers of one node have them. */
function twoWorkers(options = OPTIONS) {
  const memory = sourceLimitMemory(12_345);
  return [new SourceLimits(options, memory), new SourceLimits(options, memory)] as const;
}

describe('takeRequest', () => {
  test('gives every source its own burst and rate', () => {
    const [limits] = twoWorkers();
    const take = (address: string, nowMs: number) => limits.takeRequest('udp', address, START + nowMs);
    expect([take('127.92.3.1', 0), take('127.92.3.1', 0), take('127.92.3.1', 0)]).toEqual([true, true, false]);
    expect(take('127.92.3.2', 0)).toBe(true);
    expect([take('127.92.3.1', 999), take('127.92.3.1', 1000), take('127.92.3.1', 1000)]).toEqual([false, true, false]);
    expect([take('127.92.3.1', 60_000), take('127.92.3.1', 60_000), take('127.92.3.1', 60_000)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('gives a source one rate over all workers', () => {
    const [one, other] = twoWorkers();
    expect([
      one.takeRequest('udp', '127.92.3.1', START),
      other.takeRequest('udp', '127.92.3.1', START),
      one.takeRequest('udp', '127.92.3.1', START),
      other.takeRequest('udp', '127.92.3.1', START),
    ]).toEqual([true, true, false, false]);
  });

  test('takes the addresses of one IPv6 /64 for one source', () => {
    const [limits] = twoWorkers();
    expect(limits.takeRequest('udp', '2001:db8:1:2::1', START)).toBe(true);
    expect(limits.takeRequest('udp', '2001:db8:1:2:ffff::2', START)).toBe(true);
    expect(limits.takeRequest('udp', '2001:db8:1:2::3', START)).toBe(false);
    expect(limits.takeRequest('udp', '2001:db8:1:3::1', START)).toBe(true);
  });

  test('keeps its rate where the 32 bits of its time turn over, and when the clock jumps', () => {
    const [limits] = twoWorkers();
    for (let nowMs = START; nowMs < START + 2 ** 29; nowMs += 2 ** 22) {
      expect(limits.takeRequest('udp', '127.92.3.1', nowMs)).toBe(true);
      expect(limits.takeRequest('udp', '127.92.3.1', nowMs)).toBe(true);
      expect(limits.takeRequest('udp', '127.92.3.1', nowMs)).toBe(false);
    }
    expect(limits.takeRequest('udp', '127.92.3.1', START - 3_600_000)).toBe(true);
  });

  test('begins with a whole burst also where the 32 bits of its time are nearly over', () => {
    const [limits] = twoWorkers();
    // Sixteenths of a millisecond: half a second before they are zero.
    const nowMs = 6_333 * 2 ** 28 - 500;
    expect(limits.takeRequest('udp', '127.86.3.1', nowMs)).toBe(true);
    expect(limits.takeRequest('udp', '127.86.3.1', nowMs)).toBe(true);
    expect(limits.takeRequest('udp', '127.86.3.1', nowMs)).toBe(false);
  });

  test('lets one source through while a hundred thousand forged ones send', () => {
    const [limits] = twoWorkers();
    for (let n = 0; n < 100_000; n++) limits.takeRequest('udp', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, START);
    const through = Array.from({ length: 100 }, (_, n) => limits.takeRequest('udp', `192.0.2.${n}`, START + 1000));
    expect(through.filter(Boolean).length).toBeGreaterThan(85);
  });
});

test('what comes over UDP in the name of a source spends nothing of what it has over TCP and TLS, which share', () => {
  const limits = new SourceLimits(OPTIONS, sourceLimitMemory(1));
  const here = '127.92.3.1';
  while (limits.takeRequest('udp', here, START));
  expect(limits.isHeld('udp', here, 'client', START)).toBe(false);
  limits.countFailure('client', START);
  expect([limits.isHeld('udp', here, 'client', START), limits.isHeld('tls', here, 'client', START)]).toEqual([
    true,
    false,
  ]);
  expect(limits.takeRequest('tcp', here, START)).toBe(true);
  while (limits.takeRequest('tls', here, START));
  expect(limits.takeRequest('tcp', here, START)).toBe(false);
});

describe('isHeld', () => {
  const [here, client, other] = [
    '127.86.3.1',
    'udp 127.86.3.1 4001 127.86.1.1 3478',
    'udp 127.86.3.1 4002 127.86.1.1 3478',
  ];

  test('is true of a client that failed while its source has used up its rate, over all workers, and of no other', () => {
    const [limits, sibling] = twoWorkers();
    limits.countFailure(client, START);
    expect(limits.isHeld('udp', here, client, START)).toBe(false);
    while (limits.takeRequest('udp', here, START));
    expect([limits.isHeld('udp', here, client, START), sibling.isHeld('udp', here, client, START)]).toEqual([
      true,
      true,
    ]);
    expect(limits.isHeld('udp', here, other, START)).toBe(false);
    // Asking took nothing: the next is due when it was.
    expect(limits.isHeld('udp', here, client, START + 1000)).toBe(false);
    expect(limits.takeRequest('udp', here, START + 1000)).toBe(true);
  });

  test('forgets a failure after a minute', () => {
    const [limits] = twoWorkers({ ...OPTIONS, unauthenticatedRate: { burst: 1, perSec: 0.001 } });
    limits.countFailure(client, START);
    limits.takeRequest('udp', here, START);
    expect(limits.isHeld('udp', here, client, START + 59_999)).toBe(true);
    expect(limits.isHeld('udp', here, client, START + 60_000)).toBe(false);
  });
});

describe('openConnection', () => {
  test('caps the connections of a source and of the node over all workers', () => {
    const [one, other] = twoWorkers();
    expect([one.openConnection('127.92.3.1'), other.openConnection('127.92.3.1')]).toEqual([true, true]);
    expect(one.openConnection('127.92.3.1')).toBe(false);
    expect(other.openConnection('127.92.3.2')).toBe(true);
    expect(one.openConnection('127.92.3.3')).toBe(false);
    expect(one.connectionCount).toBe(3);
    other.closeConnection('127.92.3.1');
    expect(one.openConnection('127.92.3.3')).toBe(true);
  });
});
