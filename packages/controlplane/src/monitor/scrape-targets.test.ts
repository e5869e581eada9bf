import type { NodeRow } from '@orama/store';
import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import type { Desired } from '../reconcile/desired.ts';
import { scrapeTargets } from './scrape-targets.ts';

const config = testConfig('/nowhere');
const node = (id: string, wireguardIp: string, state: NodeRow['state'] = 'active') =>
  ({ id, wireguardIp, state }) as NodeRow;
const desired = (wanted: boolean) =>
  new Map([
    ['demo', { wanted, sfu: [{ nodeId: 'node-1', namespace: 'demo', hostIp: 'fd00::1', signalingPort: 30_001 }] }],
  ]) as unknown as Desired;

test('scrapeTargets() names the processes of all nodes that are a part of the cluster, and the SFUs that are wanted', () => {
  const nodes = [node('node-1', 'fd00::1'), node('node-2', '10.0.0.2', 'draining'), node('node-3', '10.0.0.3', 'gone')];
  expect(scrapeTargets(config, nodes, { desired: desired(true) })).toEqual([
    { targets: ['[fd00::1]:6001'], labels: { process: 'controlplane', node: 'node-1' } },
    { targets: ['[fd00::1]:6002'], labels: { process: 'gateway', node: 'node-1' } },
    { targets: ['[fd00::1]:6003'], labels: { process: 'turn', node: 'node-1' } },
    { targets: ['10.0.0.2:6001'], labels: { process: 'controlplane', node: 'node-2' } },
    { targets: ['10.0.0.2:6002'], labels: { process: 'gateway', node: 'node-2' } },
    { targets: ['10.0.0.2:6003'], labels: { process: 'turn', node: 'node-2' } },
    { targets: ['[fd00::1]:30001'], labels: { process: 'sfu', node: 'node-1', ns: 'demo' } },
  ]);
  expect(scrapeTargets(config, [], { desired: desired(false) })).toEqual([]);
});
