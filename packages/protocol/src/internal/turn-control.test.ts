import { expect, test } from 'vitest';
import { turnTenantSchema } from './turn-control.ts';

const relay = { address: '10.0.0.1', portStart: 1024, portEnd: 1823 };
const peer = { ip: '10.0.0.2', portStart: 20_000, portEnd: 20_000 };
const alternate = { address: '198.51.100.7', port: 3478 };
const tenant = {
  namespace: 'demo',
  secrets: ['0123456789abcdef', 'fedcba9876543210'],
  domain: 'turn.ns-demo.Example.com',
  relay,
  peers: [peer],
  alternates: [alternate],
  generation: 1,
};

test('a tenant with all that belongs to it is taken', () => {
  expect(turnTenantSchema.safeParse(tenant).error).toBeUndefined();
});

test.each([
  [{ relay: { ...relay, adress6: '::1' } }, ['relay'], 'adress6'],
  [{ relay: { ...relay, portStart: 1023 } }, ['relay', 'portStart'], '1024'],
  [{ peers: [peer, { ...peer, port: 1 }] }, ['peers', 1], 'port'],
  [{ peers: [{ ...peer, portEnd: 19_999 }] }, ['peers', 0, 'portEnd'], 'below portStart'],
  [{ alternates: [{ ...alternate, tlsport: 5349 }] }, ['alternates', 0], 'tlsport'],
  [{ secrets: ['0123456789abcdef', '0123456789abcdef'] }, ['secrets'], 'twice'],
  [{ domain: 'turn.example.com.' }, ['domain'], 'host name'],
  [{ domain: '*.example.com' }, ['domain'], 'host name'],
  [{ domain: 'turn example' }, ['domain'], 'host name'],
  [{ domain: '10.0.0.1' }, ['domain'], 'host name'],
  [{ domain: `${'a'.repeat(64)}.example` }, ['domain'], 'host name'],
  [{ domain: `${'a.'.repeat(126)}com` }, ['domain'], 'host name'],
])('a tenant with %j is refused, and the field is named', (change, path, says) => {
  const { error } = turnTenantSchema.safeParse({ ...tenant, ...change });
  expect(error?.issues).toMatchObject([{ path, message: expect.stringContaining(says) }]);
});
