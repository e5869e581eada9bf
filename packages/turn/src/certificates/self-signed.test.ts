import { X509Certificate } from 'node:crypto';
import { readCertificate } from '@orama/core';
import { expect, test } from 'vitest';
import { SELF_SIGNED_DAYS, SelfSigner } from './self-signed.ts';

const NOW = Date.UTC(2026, 10, 21, 12);
const DAY_MS = 86_400_000;
const signer = new SelfSigner();
const pair = signer.sign(['turn.ns-demo.example.com', '192.0.2.7', '2001:db8::7'], NOW);

test('SelfSigner makes a P-256 server certificate for names and addresses', () => {
  const certificate = new X509Certificate(pair.cert);
  expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
  expect(certificate.subjectAltName).toBe(
    'DNS:turn.ns-demo.example.com, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7',
  );
  expect(certificate.checkHost('turn.ns-demo.example.com')).toBeDefined();
  expect(certificate.checkIP('192.0.2.7')).toBeDefined();
  expect(certificate.checkIP('2001:db8::7')).toBeDefined();
  expect(certificate.ca).toBe(false);
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.validFromDate).toEqual(new Date(NOW - DAY_MS));
  expect(certificate.validToDate).toEqual(new Date(NOW + SELF_SIGNED_DAYS * DAY_MS));
});

test('SelfSigner gives every certificate another serial number', () => {
  const serials = Array.from({ length: 100 }, () => new X509Certificate(signer.sign(['a'], NOW).cert).serialNumber);
  expect(new Set(serials).size).toBe(100);
});

test('readCertificate tells what a pair is', () => {
  expect(readCertificate(pair, { name: 'turn.ns-demo.example.com', nowMs: NOW })).toEqual({
    pair,
    status: {
      subject: 'CN=Orama TURN self-signed',
      issuer: 'CN=Orama TURN self-signed',
      selfSigned: true,
      notAfter: NOW + SELF_SIGNED_DAYS * DAY_MS,
      fingerprint: new X509Certificate(pair.cert).fingerprint256,
    },
    notBefore: NOW - DAY_MS,
  });
});

const cut = (pem: string) => pem.slice(0, pem.length / 2);
test.each([
  ['half a certificate', { ...pair, cert: cut(pair.cert) }, {}, 'the certificate is not PEM'],
  ['no certificate at all', { ...pair, cert: '' }, {}, 'the certificate is not PEM'],
  ['a key where the certificate belongs', { ...pair, cert: pair.key }, {}, 'the certificate is not PEM'],
  ['half a key', { ...pair, key: cut(pair.key) }, {}, 'the key is not a PEM private key'],
  [
    'an encrypted key',
    { ...pair, key: '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----' },
    {},
    'the key is encrypted',
  ],
  ['the key of another', { ...pair, key: new SelfSigner().sign(['a'], NOW).key }, {}, 'the key does not belong'],
  ['a pair that has ended', pair, { nowMs: NOW + 91 * DAY_MS }, 'the certificate ended on 2027-02-19T12:00:00.000Z'],
  ['a pair of tomorrow', pair, { nowMs: NOW - 2 * DAY_MS }, 'the certificate begins on 2026-11-20T12:00:00.000Z'],
  [
    'a pair for another name',
    pair,
    { name: 'turn.ns-other.example.com' },
    'the certificate is for DNS:turn.ns-demo.example.com, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7, not for turn.ns-other.example.com',
  ],
  ['a broken chain', { ...pair, cert: `${pair.cert}${cut(pair.cert)}` }, {}, 'TLS cannot use the pair'],
])('readCertificate refuses %s, says why and never shows the key', (_what, bad, options, message) => {
  const read = () => readCertificate(bad, { nowMs: NOW, ...options });
  expect(read).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST', hint: expect.any(String) }));
  expect(read).toThrow(message);
  expect(read).not.toThrow(/PRIVATE KEY-----\n/);
});
