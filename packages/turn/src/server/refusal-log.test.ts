import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { expect, test } from 'vitest';
import { RefusalLog } from './refusal-log.ts';
import { TenantLog } from './tenant-log.ts';

test('a flood of refused peers is logged at a rate, counted whole, and told how much was not written', () => {
  const clock = new VirtualClock();
  const lines: { unwritten?: number }[] = [];
  const logger = silentLogger.child({});
  logger.warn = (fields: unknown) => {
    lines.push(fields as { unwritten?: number });
  };
  const log = new RefusalLog(new TenantLog(logger, clock), clock);
  const peer = { namespace: 'demo', alloc: 1, address: '10.0.0.1', rule: 'private', method: 'CreatePermission' };
  for (let n = 0; n < 1000; n++) log.refused(peer);
  expect(lines).toHaveLength(20);
  clock.advance(1000);
  for (let n = 0; n < 1000; n++) log.refused(peer);
  expect(lines).toHaveLength(25);
  expect(lines[20]).toMatchObject({ ns: 'demo', rule: 'private', unwritten: 980 });
  expect(log.byRule.get('private')).toBe(2000);
});
