import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bringSecrets, broughtSecrets, lookForSecrets } from './secret-files.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-secrets-'));
  path = join(folder, 'tsig.key');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a secret that is not there is brought, for its owner alone, and listed for the day the machine leaves', async () => {
  expect(lookForSecrets([path], folder)).toEqual([{ path, sha256: null }]);
  for (const _ of ['once', 'again']) {
    await bringSecrets([{ path, secret: 'the secret' }], folder);
    expect(readFileSync(path, 'utf8')).toBe('the secret\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await broughtSecrets(folder)).toEqual([path]);
  }
  expect(lookForSecrets([path], folder)).toEqual([{ path, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
});

test('one that is there stays as it is, is not ours to take away, and must not be readable by others', async () => {
  writeFileSync(path, 'mine', { mode: 0o600 });
  await bringSecrets([{ path, secret: 'the secret' }], folder);
  expect(readFileSync(path, 'utf8')).toBe('mine');
  expect(await broughtSecrets(folder)).toEqual([]);
  writeFileSync(join(folder, 'open'), 'x', { mode: 0o644 });
  expect(() => lookForSecrets([join(folder, 'open')], folder)).toThrow('readable by others');
});

test('nothing is written elsewhere, nor under a name of ours, whatever the cluster names', async () => {
  const others = [`${folder}.key`, `${folder}/sub/x`, `${folder}/../orama-secrets-elsewhere`, `${folder}/./x`];
  for (const other of [...others, ...['brought', 'left', 'rqlited.env'].map((name) => join(folder, name))]) {
    expect(() => lookForSecrets([other], folder)).toThrow(`there is no ${other}`);
    const both = [path, other].map((each) => ({ path: each, secret: 'x' }));
    await expect(bringSecrets(both, folder)).rejects.toThrow(`there is no ${other}`);
    expect(existsSync(other)).toBe(false);
  }
  expect(readdirSync(folder)).toEqual([]);
});

test('of the list nothing is taken away but secrets, whoever wrote it', async () => {
  const listed = [path, '/etc/passwd', `${folder}/../x`, join(folder, 'cluster.key')];
  writeFileSync(join(folder, 'brought'), JSON.stringify(listed));
  expect(await broughtSecrets(folder)).toEqual([path]);
  for (const text of ['/etc/passwd\n/etc/fstab\n', '{}', '[1]']) {
    writeFileSync(join(folder, 'brought'), text);
    expect(await broughtSecrets(folder)).toEqual([]);
  }
});
