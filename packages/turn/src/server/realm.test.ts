import { expect, test } from 'vitest';
import { fitRealm } from './realm.ts';

test.each([
  ['orama.localhost', 'orama.localhost'],
  ['webrtc.eu-central-1.cluster.example-company.com', 'cluster.example-company.com'],
  ['a'.repeat(40), 'a'.repeat(28)],
])('fitRealm(%j) is %j', (baseDomain, realm) => {
  expect(fitRealm(baseDomain)).toBe(realm);
});
