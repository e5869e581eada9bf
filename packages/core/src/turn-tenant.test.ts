import { turnTenantSchema } from '@orama/protocol';
import { expect, test } from 'vitest';
import { turnTenantDigest } from './turn-tenant.ts';

const tenant = turnTenantSchema.parse({
  namespace: 'demo',
  secrets: ['0123456789abcdef'],
  relay: { address: '127.81.0.1', portStart: 50_000, portEnd: 50_799 },
  peers: [{ ip: '127.81.0.2', portStart: 20_000, portEnd: 20_499 }],
  generation: 1,
});

test('turnTenantDigest does not depend on the order of fields', () => {
  const turned = Object.fromEntries(Object.entries(tenant).reverse()) as typeof tenant;
  expect(turnTenantDigest(turned)).toBe(turnTenantDigest(tenant));
});

test('turnTenantDigest changes with a secret and with a peer', () => {
  expect(turnTenantDigest({ ...tenant, secrets: ['fedcba9876543210'] })).not.toBe(turnTenantDigest(tenant));
  expect(turnTenantDigest({ ...tenant, peers: [] })).not.toBe(turnTenantDigest(tenant));
});
