import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '@orama/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CertificateFiles } from './certificate-files.ts';
import { SelfSigner } from './self-signed.ts';

const NOW = Date.UTC(2026, 10, 21);
const pair = new SelfSigner().sign(['turn.example.org'], NOW);
let dir: string;
let paths: { certFile: string; keyFile: string };
let files: CertificateFiles;
let errors: { reason: string; hint?: string }[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'turn-files-'));
  paths = { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') };
  errors = [];
  const logger = { info: () => undefined, error: (fields: (typeof errors)[number]) => errors.push(fields) };
  files = new CertificateFiles(paths, logger as unknown as Logger);
});
afterEach(() => rmSync(dir, { recursive: true }));

function write({ cert, key } = pair): void {
  writeFileSync(paths.certFile, cert);
  writeFileSync(paths.keyFile, key);
}

test('CertificateFiles gives a pair once, and again when it has changed', async () => {
  write();
  expect((await files.read(NOW))?.pair).toEqual(pair);
  expect(await files.read(NOW)).toBeUndefined();
  const other = new SelfSigner().sign(['turn.example.org'], NOW);
  write(other);
  expect((await files.read(NOW))?.pair).toEqual(other);
  expect(errors).toEqual([]);
});

test('what is missing, half-written, mismatched or ended gives nothing and is told once, without the key', async () => {
  const told = async () => {
    for (let n = 0; n < 3; n++) expect(await files.read(NOW)).toBeUndefined();
    return errors.splice(0).map(({ reason }) => reason);
  };
  expect(await told()).toEqual([expect.stringContaining('no such file')]);
  write({ ...pair, cert: pair.cert.slice(0, 100) });
  expect(await told()).toEqual([expect.stringContaining('the certificate is not PEM')]);
  write({ ...pair, key: pair.key.slice(0, 100) });
  expect(await told()).toEqual(['the key is not a PEM private key']);
  write({ ...pair, key: new SelfSigner().sign(['a'], NOW).key });
  expect(await told()).toEqual(['the key does not belong to the certificate']);
  write(new SelfSigner().sign(['a'], NOW - 100 * 86_400_000));
  expect(await told()).toEqual([expect.stringContaining('the certificate ended on')]);
  write();
  expect(await files.read(NOW)).toBeDefined();
});
