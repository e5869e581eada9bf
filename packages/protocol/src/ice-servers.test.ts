import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inOrderToTry, turnUri, turnUrisOf } from './index.ts';

const TRANSPORTS = ['udp', 'tcp', 'tls'] as const;
const uri = fc
  .tuple(fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', 'turn.example.org'), fc.constantFrom(...TRANSPORTS))
  .map(([host, transport]) => ({ transport, uri: turnUri(host, 3478, transport) }));

test('inOrderToTry() keeps every URI, and names UDP before TCP before TLS', () => {
  fc.assert(
    fc.property(fc.array(uri), (given) => {
      const ordered = inOrderToTry(given.map((each) => each.uri));
      expect([...ordered].sort()).toEqual(given.map((each) => each.uri).sort());
      const ranks = ordered.map((each) =>
        TRANSPORTS.indexOf(given.find((one) => one.uri === each)?.transport ?? 'udp'),
      );
      expect(ranks).toEqual([...ranks].sort());
    }),
  );
});

test('inOrderToTry() lets each server of a transport be first at some time', () => {
  const uris = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].flatMap((host) => [
    turnUri(host, 3478, 'udp'),
    turnUri(host, 3478, 'tcp'),
  ]);
  const firsts = [0, 0.5, 0.99].map((high) => {
    const draws = [0.6, 0, high, 0, 0.3, 0];
    return inOrderToTry(uris, () => draws.shift() ?? 0)[0];
  });
  expect(firsts).toEqual([uris[2], uris[4], uris[4]]);
});

test('turnUrisOf() names port 443 last, where TURN has it, and never for addresses, which no certificate is for', () => {
  const servers = [{ publicIp: '192.0.2.1', port: 3478, tlsPort: 5349 }];
  const of = (advertise: 'names' | 'addresses', port443: boolean) =>
    turnUrisOf({ advertise, namespace: 'demo', baseDomain: 'orama.test', port443, servers });
  const name = 'turn.ns-demo.orama.test';
  const uris = [`turn:${name}:3478?transport=udp`, `turn:${name}:3478?transport=tcp`, `turns:${name}:5349`];
  expect(of('names', false)).toEqual(uris);
  expect(of('names', true)).toEqual([...uris, `turns:${name}:443?transport=tcp`]);
  expect(inOrderToTry(of('names', true).reverse())).toEqual(of('names', true));
  expect(of('addresses', true)).toEqual(of('addresses', false));
});
