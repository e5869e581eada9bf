import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { expect, test } from 'vitest';
import type { Allocation } from '../allocation/allocation.ts';
import { AllocationLog } from './allocation-log.ts';
import { TenantLog } from './tenant-log.ts';

test('whoever opens and ends allocations in a row writes two hundred lines, then twenty a second', () => {
  const clock = new VirtualClock();
  const lines: { message: string; unwritten?: number; reason?: string }[] = [];
  const logger = silentLogger.child({});
  const keep = (fields: unknown, message?: string) => {
    lines.push({ ...(fields as object), message: message ?? '' });
  };
  logger.info = keep;
  logger.warn = keep;
  const log = new AllocationLog(new TenantLog(logger, clock), clock);
  const port = { port: 50_000, addresses: ['127.0.0.1'], counters: { toPeerPackets: 3 } };
  const allocation = { namespace: 'demo', id: 7, client: { protocol: 'udp' }, port, createdAtMs: clock.monotonic() };
  const openAndEnd = () => {
    log.opened(allocation as unknown as Allocation);
    log.ended(allocation as unknown as Allocation, 'refreshed-to-zero');
    log.notBound('demo', '127.0.0.1', 50_001, new Error('taken'));
  };
  openAndEnd();
  const names = { ns: 'demo', alloc: 7, transport: 'udp', relayPort: 50_000 };
  expect(lines).toEqual([
    { ...names, message: 'allocation opened', relayAddresses: ['127.0.0.1'] },
    { ...names, message: 'allocation ended', reason: 'refreshed-to-zero', durMs: 0, toPeerPackets: 3 },
    {
      ...{ ns: 'demo', relayAddress: '127.0.0.1', relayPort: 50_001, err: 'taken' },
      message: 'relay port cannot be bound',
    },
  ]);
  for (let n = 0; n < 1000; n++) openAndEnd();
  expect(lines).toHaveLength(200);
  clock.advance(1000);
  openAndEnd();
  expect(lines).toHaveLength(203);
  expect(lines[200]).toMatchObject({ unwritten: 2803 });
});
