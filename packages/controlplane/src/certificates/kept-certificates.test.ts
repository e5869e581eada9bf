import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from '@orama/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { KeptCertificates } from './kept-certificates.ts';

test('a file that cannot be read keeps no other certificate from being loaded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'orama-kept-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'a.test.pem'));
  const authority = new CertificateAuthority();
  onTestFinished(() => authority.close());
  const { cert, key } = authority.issue('b.test');
  writeFileSync(join(folder, 'b.test.pem'), `${cert}\n${key}\n`);
  const kept = new KeptCertificates(folder);
  await kept.load(Date.now());
  expect(kept.names().sort()).toEqual(['a.test', 'b.test']);
  expect(kept.get('a.test')).toBeUndefined();
  expect(kept.get('b.test')?.pair).toBeDefined();
});
