import { createServer } from 'node:http';
import { closeServer, listen } from '@orama/core';
import type { ClusterStatus } from '@orama/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { missingParts, unreadyNodes } from './readiness.ts';

type Node = ClusterStatus['nodes'][number];
const CORE = [
  { service: 'gateway', healthy: true },
  { service: 'turn', healthy: true },
];

/** What is missing in a cluster of this one node. */
function missing(change: Partial<Pick<Node, 'state' | 'alive' | 'core'>>, unready: string[] = []): string[] {
  const addresses = { wireguardIp: '127.77.0.1', publicIp: '127.77.1.1', region: 'default', lastSeenAt: '' };
  const node: Node = { id: 'node-1', state: 'active', alive: true, core: CORE, ...addresses, ...change };
  const cluster = { clusterId: 'c', baseDomain: 'b', version: '0', nodes: [node] };
  return missingParts([{ id: 'node-1' }], cluster, new Set(unready));
}

test('missingParts() names controlplanes that do not answer, and services that are not healthy', () => {
  expect(missingParts([{ id: 'node-1' }], undefined, new Set())).toEqual(['a controlplane to answer']);
  expect(missing({})).toEqual([]);
  expect(missing({ alive: false })).toEqual(['the controlplane of node-1']);
  expect(missing({}, ['node-1'])).toEqual(['the controlplane of node-1']);
  expect(missing({ core: CORE.map((core) => ({ ...core, healthy: false })) })).toEqual([
    'gateway of node-1',
    'turn of node-1',
  ]);
  const refused = { service: 'turn', healthy: false, reason: 'it refuses its configuration' };
  expect(missing({ core: [refused] })).toEqual(['turn of node-1 (it refuses its configuration)']);
});

test('missingParts() wants no TURN server of a node that is drained, and nothing of one that was removed', () => {
  const down = CORE.map((core) => ({ ...core, healthy: false }));
  expect(missing({ state: 'draining', core: down })).toEqual(['gateway of node-1']);
  expect(missing({ state: 'draining', alive: false })).toEqual(['the controlplane of node-1']);
  expect(missing({ state: 'gone', alive: false, core: down }, ['node-1'])).toEqual([]);
});

test('unreadyNodes() asks every node itself: one that says so, and one that does not answer, are not ready', async () => {
  const nodes = [200, 503].map((status, index) => {
    const server = createServer((_, response) => response.writeHead(status).end('{}'));
    const address = `127.121.1.${index + 1}`;
    onTestFinished(() => closeServer(server));
    return { id: `node-${index + 1}`, api: `http://${address}:6001`, up: listen(server, { address, port: 6001 }) };
  });
  await Promise.all(nodes.map(({ up }) => up));
  const silent = { id: 'node-3', api: 'http://127.121.1.3:6001' };
  expect([...(await unreadyNodes([...nodes, silent]))]).toEqual(['node-2', 'node-3']);
});
