import type { NodeRow } from '@orama/store';
import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { settings } from '../../testing/rows.ts';
import { joinDesired } from '../reconcile/desired.ts';
import { gatewayRecords } from './gateway-names.ts';

const node = (number: number, ...healthy: string[]) =>
  ({
    id: `node-${number}`,
    state: 'active',
    reachable: true,
    publicIp: `203.0.113.${number}`,
    publicIp6: null,
    core: healthy.map((service) => ({ service, healthy: true })),
  }) as unknown as NodeRow;

test('gateways behind the TURN server are named where both are healthy', () => {
  const nodes = [node(1, 'gateway', 'turn'), node(2, 'gateway'), node(3, 'turn')];
  const named = (port443: boolean) =>
    gatewayRecords(joinDesired([settings('demo')], []), nodes, testConfig('/data', { turn: { port443 } })).map(
      ({ value }) => value,
    );
  expect(named(false)).toEqual(['203.0.113.1', '203.0.113.2']);
  expect(named(true)).toEqual(['203.0.113.1']);
});

test('the cluster has a name of its own, before any namespace, where operators are served, and no name elsewhere', () => {
  const gateway = { listen: { address: '127.0.0.1', port: 6080 } };
  const named = (operatorApi?: object) =>
    gatewayRecords(
      joinDesired([], []),
      [node(1, 'gateway'), node(2, 'gateway'), node(3)],
      testConfig('/data', { gateway: { ...gateway, ...(operatorApi && { operatorApi }) } }),
    ).map(({ fqdn, value }) => [fqdn, value]);
  expect(named({})).toEqual([
    ['api.orama.localhost', '203.0.113.1'],
    ['api.orama.localhost', '203.0.113.2'],
  ]);
  expect(named()).toEqual([]);
});
