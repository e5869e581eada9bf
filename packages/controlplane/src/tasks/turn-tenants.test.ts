import { turnTenantDigest } from '@orama/core';
import { type TurnTenant, turnTenantSchema } from '@orama/protocol';
import { expect, test } from 'vitest';
import { settings, turnRow } from '../../testing/rows.ts';
import { joinDesired } from '../reconcile/desired.ts';
import { planTurnTenants } from './tenant-keeper.ts';
import { observationsOf } from './turn-tenants.ts';

const tenant = (namespace: string, secret = '0123456789abcdef'): TurnTenant =>
  turnTenantSchema.parse({
    namespace,
    secrets: [secret],
    relay: { address: '127.83.0.1', portStart: 49_152, portEnd: 49_951 },
    peers: [],
    generation: 1,
  });
const attached = (...tenants: TurnTenant[]) =>
  new Map(
    tenants.map((one) => [
      one.namespace,
      { namespace: one.namespace, generation: one.generation, digest: turnTenantDigest(one), allocations: 3 },
    ]),
  );
const steps = (...args: Parameters<typeof planTurnTenants>) =>
  planTurnTenants(...args).map(({ kind, subject }) => `${kind} ${subject}`);

test('planTurnTenants attaches what is missing or changed, and detaches what is not wanted', () => {
  const wanted = [tenant('same'), tenant('changed', 'fedcba9876543210'), tenant('new')];
  expect(steps(wanted, attached(tenant('same'), tenant('changed'), tenant('old')))).toEqual([
    'turn-detach old',
    'turn-attach changed',
    'turn-attach new',
  ]);
});

test('planTurnTenants does nothing without a server that answers', () => {
  expect(steps([tenant('new')], 'unknown')).toEqual([]);
  expect(steps([tenant('new')], 'down')).toEqual([]);
});

test('a tenant counts as gone when the server runs without it or does not run, not when it cannot be asked', () => {
  const desired = joinDesired([{ ...settings('demo'), state: 'disabling' }], [turnRow('demo', 1)]);
  const observed = (...args: [Parameters<typeof observationsOf>[2]]) =>
    observationsOf(desired, 'node-1', ...args, 'no answer').map((one) => one.observed);
  expect(observed(attached())).toEqual(['absent']);
  expect(observed('down')).toEqual(['absent']);
  expect(observed('unknown')).toEqual(['failed']);
  expect(observed(attached(tenant('demo')))).toEqual(['running']);
});

test('a tenant that is not wanted is there for as long as its unit is', () => {
  const desired = joinDesired([{ ...settings('demo'), state: 'disabling' }], [turnRow('demo', 1)]);
  const observed = (isLeft: boolean) =>
    observationsOf(desired, 'node-1', attached(), '', { remains: () => isLeft }).map((one) => one.observed);
  expect(observed(true)).toEqual(['running']);
  expect(observed(false)).toEqual(['absent']);
});

test('a certificate that is kept holds up a disable, and not the release of a block', () => {
  const observed = (state: 'enabled' | 'disabling', row: object) =>
    observationsOf(
      joinDesired([{ ...settings('demo'), state }], [{ ...turnRow('demo', 1), ...row }]),
      'node-1',
      'down',
      '',
      {
        certified: () => true,
      },
    ).map((one) => `${one.desired} ${one.observed}`);
  expect(observed('disabling', {})).toEqual(['absent running']);
  expect(observed('enabled', { leavingSinceMs: 1 })).toEqual(['absent absent']);
});

test('a node reports why the unit of a tenant ended', () => {
  const desired = joinDesired([settings('demo')], [turnRow('demo', 1)]);
  const reason = 'ended once, last with exit code 1';
  expect(observationsOf(desired, 'node-1', attached(), '', { reason: () => reason })).toMatchObject([{ reason }]);
});

test('a node reports only tenants that are placed on it', () => {
  const desired = joinDesired([settings('demo')], [turnRow('demo', 1)]);
  expect(observationsOf(desired, 'node-2', attached(), '')).toEqual([]);
  expect(observationsOf(desired, 'node-1', attached(tenant('demo')), '')).toMatchObject([
    { healthy: true, details: { allocations: 3 } },
  ]);
});

test('a node reports the certificate that its server shows for a namespace', () => {
  const desired = joinDesired([settings('demo')], [turnRow('demo', 1)]);
  const shown = { issuer: 'CN=x', selfSigned: false, notAfter: 1 };
  const [report] = observationsOf(desired, 'node-1', attached(tenant('demo')), '', {
    shown: (namespace) => (namespace === 'demo' ? shown : undefined),
  });
  expect(report?.details).toEqual({ allocations: 3, certificate: shown });
});

test('a tenant is gone with the last of its certificates', () => {
  const desired = joinDesired([{ ...settings('demo'), state: 'disabling' }], [turnRow('demo', 1)]);
  const observed = (isKept: boolean) =>
    observationsOf(desired, 'node-1', attached(), '', { remains: () => isKept })[0]?.observed;
  expect(observed(true)).toBe('running');
  expect(observed(false)).toBe('absent');
});

test('a tenant of a server that drains is there, but not healthy', () => {
  const desired = joinDesired([settings('demo')], [turnRow('demo', 1)]);
  expect(observationsOf(desired, 'node-1', attached(tenant('demo')), 'the TURN server drains')).toMatchObject([
    { observed: 'running', healthy: false, reason: 'the TURN server drains' },
  ]);
});
