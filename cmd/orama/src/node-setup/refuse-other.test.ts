import type { ControlplaneConfig } from '@orama/protocol';
import { expect, test } from 'vitest';
import { refuseOther } from './refuse-other.ts';

const node = {
  ...{ node: 'node-1', publicIp: '203.0.113.1', baseDomain: 'example.com' },
  store: { driver: 'rqlite' },
} as ControlplaneConfig;

test('what a node is already may be asked for again, and nothing else', () => {
  refuseOther(node, {});
  refuseOther(node, { name: 'node-1', publicIp: '203.0.113.1', baseDomain: 'example.com', store: 'rqlite' });
  expect(() => refuseOther(node, { publicIp: '203.0.113.9' })).toThrow('its public address is 203.0.113.1');
  expect(() => refuseOther(node, { name: 'other', store: 'sqlite' })).toThrow(
    'its name is node-1, its store is rqlite',
  );
});
