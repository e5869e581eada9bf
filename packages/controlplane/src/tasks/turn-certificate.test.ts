import { expect, test } from 'vitest';
import { certificateFor } from './turn-certificate.ts';

const certificate = (name: string | null) => ({
  name,
  subject: 'CN=x',
  issuer: `CN=issuer of ${name}`,
  selfSigned: false,
  notAfter: 1,
});

test('certificateFor finds the one of the name, then of a wildcard, then the one for every name', () => {
  const all = [certificate(null), certificate('*.example.org'), certificate('turn.example.org')];
  const issuer = (name: string, of = all) => certificateFor(name, of)?.issuer;
  expect(issuer('turn.example.org')).toBe('CN=issuer of turn.example.org');
  expect(issuer('other.example.org')).toBe('CN=issuer of *.example.org');
  expect(issuer('deep.other.example.org')).toBe('CN=issuer of null');
  expect(issuer('turn.example.org', [])).toBeUndefined();
});
