import { expect, test } from 'vitest';
import { type NodeRow, type ServiceReportRow, type TurnAllocationRow, turnServersOf } from './index.ts';

const port = (id: number, namespace = 'demo') =>
  ({ service: 'turn', nodeId: `node-${id}`, namespace, listenPort: 3478, tlsPort: 5349 }) as TurnAllocationRow;
const node = (id: number, reachable = true, state: NodeRow['state'] = 'active') =>
  ({ id: `node-${id}`, publicIp: `192.0.2.${id}`, reachable, state }) as NodeRow;
const report = (id: number, healthy: boolean, service = 'turn', namespace = 'demo') =>
  ({ nodeId: `node-${id}`, namespace, service, healthy }) as ServiceReportRow;
/** Last octets of the servers that clients of `demo` are led to. */
function led(nodes: NodeRow[], reports: ServiceReportRow[], ports = [port(1), port(2), port(3, 'other')]): string[] {
  return turnServersOf('demo', { ports, nodes, reports }).map(({ publicIp }) => publicIp.slice(8));
}

test('turnServersOf() leaves out a server that says it does not serve the namespace, and one that never said anything', () => {
  const nodes = [node(1), node(2), node(3)];
  expect(led(nodes, [report(1, true), report(2, true), report(3, true, 'turn', 'other')])).toEqual(['1', '2']);
  expect(led(nodes, [report(1, false), report(2, true)])).toEqual(['2']);
  expect(led(nodes, [report(1, true), report(2, true, 'sfu'), report(2, true, 'turn', 'other')])).toEqual(['1']);
});

test('turnServersOf() leaves out a server whose node is unreachable, or is gone for good', () => {
  const reports = [report(1, true), report(2, true)];
  expect(led([node(1), node(2, false)], reports)).toEqual(['1']);
  expect(led([node(1, true, 'gone'), node(2)], reports)).toEqual(['2']);
});

test('turnServersOf() names all while none serves, except on nodes that are gone', () => {
  expect(led([node(1), node(2)], [])).toEqual(['1', '2']);
  expect(led([node(1, false), node(2)], [report(1, true), report(2, false)])).toEqual(['1', '2']);
  expect(led([node(1, true, 'gone')], [])).toEqual([]);
});
