import { X509Certificate } from 'node:crypto';
import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CertificateStore } from './certificate-store.ts';
import type { ServedCertificates } from './secure-contexts.ts';
import { SelfSigner } from './self-signed.ts';

const DAY_MS = 86_400_000;
let clock: VirtualClock;
let names: string[];
let served: ServedCertificates;
let changes: number;
let store: CertificateStore;

beforeEach(() => {
  clock = new VirtualClock();
  names = [];
  changes = 0;
  store = new CertificateStore({
    ownNames: ['192.0.2.1', '0.0.0.0', '::', 'example.com', 'Übung', '192.0.2.1'],
    tenantNames: () => names,
    clock,
    logger: silentLogger,
    onChange: (now) => {
      served = now;
      changes++;
    },
  });
});
afterEach(() => store.close());

const namesOf = (cert: string) => new X509Certificate(cert).subjectAltName;

test('CertificateStore makes a certificate for what has a name, once', async () => {
  await store.start();
  expect(namesOf(served.fallback.cert)).toBe('IP Address:192.0.2.1, DNS:example.com');
  expect(store.list()).toMatchObject([{ name: null, selfSigned: true }]);
  clock.advance(60_000);
  await Promise.resolve();
  expect(changes).toBe(1);
});

test('a certificate of its own is replaced a month before it ends', async () => {
  names = ['a.example.com'];
  const before = store.list();
  clock.advance(59 * DAY_MS);
  await store.start();
  expect(store.list()[0]).toEqual(before[0]);
  store.close();
  clock.advance(2 * DAY_MS);
  await store.start();
  expect(store.list()[0]?.notAfter).toBe(clock.now() + 90 * DAY_MS);
});

test('tenants have certificates of their own until one is handed over for their name', async () => {
  await store.start();
  names = ['a.example.com', 'b.example.com', 'not a name'];
  clock.advance(2_000);
  await expect.poll(() => [...served.named.keys()]).toEqual(['a.example.com', 'b.example.com']);
  const handedOver = new SelfSigner().sign(['b.example.com'], clock.now());
  store.put('b.example.com', handedOver);
  expect(served.named.get('b.example.com')).toEqual(handedOver);
  clock.advance(2_000);
  names = [];
  clock.advance(2_000);
  await expect.poll(() => [...served.named.keys()]).toEqual(['b.example.com']);
  expect(store.list().map(({ name }) => name)).toEqual([null, 'b.example.com']);
});
