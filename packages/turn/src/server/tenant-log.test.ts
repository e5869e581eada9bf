import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { expect, test } from 'vitest';
import { TenantLog } from './tenant-log.ts';

test('lines of a namespace are taken once, and the newest are kept of one that nobody asks for', () => {
  const clock = new VirtualClock();
  const log = new TenantLog(silentLogger, clock);
  log.write('warn', 'demo', { alloc: 7 }, 'peer refused');
  expect(log.take('other')).toEqual([]);
  expect(log.take('demo')).toEqual([
    { atMs: clock.now(), level: 'warn', message: 'peer refused', fields: { alloc: 7 } },
  ]);
  expect(log.take('demo')).toEqual([]);
  for (let alloc = 0; alloc < 1_000; alloc += 1) log.write('info', 'demo', { alloc }, 'allocation opened');
  const kept = log.take('demo');
  expect(kept.map(({ fields }) => fields.alloc)).toEqual(Array.from({ length: 200 }, (_, index) => 800 + index));
});

test('of namespaces without end only those are kept that wrote last', () => {
  const log = new TenantLog(silentLogger, new VirtualClock());
  for (let n = 0; n < 150; n += 1) log.write('info', `tenant${n}`, {}, 'allocation opened');
  expect(log.take('tenant49')).toEqual([]);
  expect(log.take('tenant50')).toHaveLength(1);
});
