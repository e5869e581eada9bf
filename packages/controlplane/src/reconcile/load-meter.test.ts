import { VirtualClock } from '@orama/core';
import type { TurnTenantUsage } from '@orama/protocol';
import { expect, test } from 'vitest';
import { LoadMeter } from './load-meter.ts';

const tenant = (namespace: string, toPeerBytes: number): TurnTenantUsage => ({
  namespace,
  toPeerBytes,
  toPeerPackets: 0,
  toClientBytes: toPeerBytes,
  toClientPackets: 0,
  allocations: 0,
});

test('next() tells once a minute what was relayed a second and how late the event loop was, over some minutes', () => {
  const clock = new VirtualClock();
  const loop = {
    load: { delayP50Sec: 0, delayP99Sec: 0.03, delayMaxSec: 0, utilization: 0 },
    turn() {},
    close() {},
  };
  const meter = new LoadMeter(clock, loop);
  meter.note({ boot: 'a', tenants: [tenant('x', 5_000_000)] });
  expect(meter.next()).toBeNull();
  clock.advance(59_000);
  meter.note({ boot: 'a', tenants: [tenant('x', 5_300_000)] });
  meter.note({ boot: 'b', tenants: [tenant('x', 300_000)] });
  expect(meter.next()).toBeNull();
  clock.advance(1_000);
  expect(meter.next()).toEqual({ relayedBytesPerSec: 20_000, loopDelayMs: 30 });
  expect(meter.next()).toBeNull();
  loop.load.delayP99Sec = 0;
  // Its counters are gone with the tenant.
  meter.note({ boot: 'b', tenants: [] });
  clock.advance(60_000);
  expect(meter.next()).toEqual({ relayedBytesPerSec: 13_333, loopDelayMs: 20 });
});
