import type { ClusterStatus } from '@orama/protocol';
import { expect, test } from 'vitest';
import { missingParts } from './readiness.ts';

type Node = ClusterStatus['nodes'][number];
const CORE = [
  { service: 'gateway', healthy: true },
  { service: 'turn', healthy: true },
];

/** What is missing in a cluster of this one node. */
function missing(change: Partial<Pick<Node, 'state' | 'alive' | 'core'>>): string[] {
  const addresses = { wireguardIp: '127.77.0.1', publicIp: '127.77.1.1', region: 'default', lastSeenAt: '' };
  const node: Node = { id: 'node-1', state: 'active', alive: true, core: CORE, ...addresses, ...change };
  return missingParts([{ id: 'node-1' }], { clusterId: 'c', baseDomain: 'b', version: '0', nodes: [node] });
}

test('missingParts() names controlplanes that do not answer, and services that are not healthy', () => {
  expect(missingParts([{ id: 'node-1' }], undefined)).toEqual(['a controlplane to answer']);
  expect(missing({})).toEqual([]);
  expect(missing({ alive: false })).toEqual(['the controlplane of node-1']);
  expect(missing({ core: CORE.map((core) => ({ ...core, healthy: false })) })).toEqual([
    'gateway of node-1',
    'turn of node-1',
  ]);
});

test('missingParts() wants no TURN server of a node that is drained, and nothing of one that was removed', () => {
  const down = CORE.map((core) => ({ ...core, healthy: false }));
  expect(missing({ state: 'draining', core: down })).toEqual(['gateway of node-1']);
  expect(missing({ state: 'draining', alive: false })).toEqual(['the controlplane of node-1']);
  expect(missing({ state: 'gone', alive: false, core: down })).toEqual([]);
});
