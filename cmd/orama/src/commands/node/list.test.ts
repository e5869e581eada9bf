import { Writable } from 'node:stream';
import type { NodeView } from '@orama/protocol';
import { expect, test } from 'vitest';
import { Output } from '../../output/output.ts';
import { describeNodes } from './list.ts';

const node = (id: string, changes: Partial<NodeView>): NodeView => ({
  ...{ id, wireguardIp: '10.0.0.1', publicIp: '203.0.113.1', publicIp6: null, region: 'default', state: 'active' },
  ...{ alive: false, lastSeenAt: '', aliveSince: '2026-11-22T12:00:00.000Z', core: [], version: '0.1.0' },
  ...{ services: [], peers: 0, allocations: 0, operation: null },
  ...changes,
});

test('the list says since when a node is not reachable, and of one that never started that it was never seen', () => {
  const pipe = new Writable() as unknown as NodeJS.WriteStream;
  const output = new Output({ json: false, stdout: pipe, stderr: pipe });
  const nodes = [node('node-1', {}), node('node-2', { aliveSince: new Date(0).toISOString() })];
  const [, first, second] = describeNodes(output, nodes).split('\n');
  expect(first).toContain('no, since 2026-11-22T12:00:00.000Z');
  expect(second).toContain('never seen');
  expect(second).not.toContain('1970');
});
