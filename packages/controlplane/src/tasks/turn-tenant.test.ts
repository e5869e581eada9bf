import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { nodeRow, settings, sfuRow, turnRow } from '../../testing/rows.ts';
import { type DesiredNamespace, joinDesired, type TurnSecrets } from '../reconcile/desired.ts';
import { turnConfig } from './core-service.ts';
import { turnTenantOf } from './turn-tenant.ts';

const SECRETS = { current: '0123456789abcdef', valid: ['0123456789abcdef'], retired: [] };
const nodes = [nodeRow(1), nodeRow(2), nodeRow(3)];

/** The tenant `demo` on node-1 with these settings. */
function tenantWith(
  changes: Partial<ReturnType<typeof settings>> = {},
  own = testConfig('/data'),
  seen = nodes,
  secrets: TurnSecrets = SECRETS,
) {
  const rows = [turnRow('demo', 1), turnRow('demo', 2), turnRow('demo', 3), sfuRow('demo', 2)];
  const desired = joinDesired([{ ...settings('demo'), ...changes }], rows).get('demo');
  return desired ? turnTenantOf(own, desired, secrets, seen, true) : null;
}

test('turnTenantOf relays on the WireGuard address alone where peers are only SFUs', () => {
  const tenant = tenantWith({}, testConfig('/data', { publicIp6: '2001:db8::1' }));
  expect(tenant?.relay).toEqual({ address: '127.83.0.1', portStart: 49_152, portEnd: 49_951 });
  expect(tenant?.allowPublicPeers).toBe(false);
  expect(tenant?.peers).toEqual([{ ip: '127.83.0.2', portStart: 20_000, portEnd: 20_499 }]);
});

test('turnTenantOf relays on the public addresses for mesh calls, and reaches SFUs from the WireGuard address', () => {
  const tenant = tenantWith({ peerPolicy: 'public' }, testConfig('/data', { publicIp6: '2001:db8::1' }));
  expect(tenant?.relay).toEqual({
    address: '127.83.1.1',
    address6: '2001:db8::1',
    innerAddress: '127.83.0.1',
    portStart: 49_152,
    portEnd: 49_951,
  });
  expect(tenant?.allowPublicPeers).toBe(true);
});

test('behind 1:1 NAT listeners and relay addresses are on the local address that the public one leads to', () => {
  const own = testConfig('/data', { turn: { external: { '10.1.2.3': '127.83.1.1' } } });
  expect(tenantWith({ peerPolicy: 'public' }, own)?.relay.address).toBe('10.1.2.3');
  expect(turnConfig(own)).toMatchObject({
    listen: ['10.1.2.3'],
    external: { '10.1.2.3': '127.83.1.1' },
    ownAddresses: ['127.83.0.1', '127.83.1.1', '10.1.2.3'],
  });
});

test('turnTenantOf names the namespace, its limits, and no limit where there is none', () => {
  expect(tenantWith()).toMatchObject({ domain: 'turn.ns-demo.orama.localhost', maxAllocations: 800 });
  expect(tenantWith()).not.toHaveProperty('bytesPerSec');
  const limits = {
    maxAllocations: 10,
    maxAllocationsPerUsername: 5,
    bytesPerSec: 1_000_000,
    allocationBytesPerSec: 20_000,
  };
  expect(tenantWith(limits)).toMatchObject(limits);
});

test('turnTenantOf lists the former secret while it is valid, and as retired afterwards, so that no call is cut', () => {
  const listed = (secrets: Partial<TurnSecrets>) => {
    const tenant = tenantWith({}, testConfig('/data'), nodes, { ...SECRETS, ...secrets });
    return [tenant?.secrets, tenant?.retiredSecrets];
  };
  const secret = 'fedcba9876543210';
  expect(listed({})).toEqual([[SECRETS.current], undefined]);
  expect(listed({ valid: [SECRETS.current, secret] })).toEqual([[SECRETS.current, secret], undefined]);
  expect(listed({ retired: [secret] })).toEqual([[SECRETS.current], [secret]]);
});

test('turnTenantOf names as alternates only the other nodes whose TURN server takes allocations', () => {
  expect(tenantWith()?.alternates).toEqual([
    { address: '127.83.1.2', port: 3478, tlsPort: 5349 },
    { address: '127.83.1.3', port: 3478, tlsPort: 5349 },
  ]);
  const dual = { ...nodeRow(2), publicIp6: '2001:db8::2' };
  expect(tenantWith({}, testConfig('/data'), [nodeRow(1), dual])?.alternates).toEqual([
    { address: '127.83.1.2', port: 3478, tlsPort: 5349 },
    { address: '2001:db8::2', port: 3478, tlsPort: 5349 },
  ]);
  const drained = { ...nodeRow(2), core: [{ service: 'turn', healthy: false, reason: 'draining' }] };
  const unreachable = nodeRow(3, { reachable: false });
  expect(tenantWith({}, testConfig('/data'), [nodeRow(1), drained, unreachable])?.alternates).toEqual([]);
});

test('what a drained node has left it keeps for as long as its server is there', () => {
  const left = { ...turnRow('demo', 1), leavingSinceMs: 1 };
  const desired = joinDesired([settings('demo')], [left, turnRow('demo', 2)]).get('demo') as DesiredNamespace;
  const isKept = (state: 'active' | 'draining', isUp: boolean) =>
    turnTenantOf(testConfig('/data'), desired, SECRETS, [{ ...nodeRow(1), state }, nodeRow(2)], isUp) !== null;
  expect(isKept('draining', true)).toBe(true);
  expect(isKept('draining', false)).toBe(false);
  expect(isKept('active', true)).toBe(false);
});

test('turnTenantOf gives nothing once the namespace is being disabled', () => {
  expect(tenantWith({ state: 'disabling' })).toBeNull();
});

test('turnConfig hands on what operators set for the TURN server', () => {
  const limits = { maxTcpConnections: 7, maxTcpConnectionsPerSource: 3, maxAllocationsPerSource: 5 };
  const turn = { workers: 2, tlsPort: 5350, drainTimeoutMs: 500, ...limits };
  expect(turnConfig(testConfig('/data', { publicIp6: '2001:db8::1', turn }))).toMatchObject({
    listen: ['127.83.1.1', '2001:db8::1'],
    workers: 2,
    tls: { port: 5350 },
    drainTimeoutMs: 500,
    ...limits,
  });
});

test('turnConfig has TURN share port 443 with the HTTPS server, where it is told to', () => {
  const shared = (turn: object) => turnConfig(testConfig('/data', { turn })).tls;
  expect(shared({})).not.toHaveProperty('shared');
  expect(shared({ port443: true, httpsServer: { port: 9443 } })).toMatchObject({
    shared: { port: 443, https: { address: '127.0.0.1', port: 9443 } },
  });
});
