import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeAbandonedFiles, writeFileAtomic } from './atomic-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orama-atomic-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('writeFileAtomic replaces a file whole, with mode 0600, and leaves nothing beside it', async () => {
  const file = join(folder, 'new', 'state.json');
  await writeFileAtomic(file, 'one');
  await writeFileAtomic(file, 'two');
  expect(readFileSync(file, 'utf8')).toBe('two');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await removeAbandonedFiles(folder);
  expect(readFileSync(file, 'utf8')).toBe('two');
});

test('writeFileAtomic gives a file the mode that is asked, and makes folders for it, under any umask', async () => {
  const former = process.umask(0o077);
  try {
    await writeFileAtomic(join(folder, 'public', 'zone'), 'one', 0o644);
    await writeFileAtomic(join(folder, 'own', 'state.json'), 'one');
  } finally {
    process.umask(former);
  }
  const modes = ['public', 'public/zone', 'own', 'own/state.json'].map(
    (path) => statSync(join(folder, path)).mode & 0o777,
  );
  expect(modes).toEqual([0o755, 0o644, 0o700, 0o600]);
});

test('writeFileAtomic of root gives what it makes to whom the folder belongs, new folders as well', async () => {
  const own = process.getuid?.() === 0 ? 12_345 : (process.getuid?.() ?? 0);
  chownSync(folder, own, own);
  await writeFileAtomic(join(folder, 'a', 'b', 'state.json'), 'one');
  for (const path of ['a', 'a/b', 'a/b/state.json']) expect(statSync(join(folder, path)).uid, path).toBe(own);
});

test('writeFileAtomic of root needs no capability but to give away', () => {
  if (process.getuid?.() === 0) chownSync(folder, 12_345, 12_345);
  const write = `import { writeFileAtomic } from ${JSON.stringify(join(import.meta.dirname, 'atomic-file.ts'))};
    await writeFileAtomic(${JSON.stringify(join(folder, 'a', 'state.json'))}, 'one', 0o644);`;
  const node = [process.execPath, '--input-type=module', '--eval', write];
  const asController =
    process.getuid?.() === 0 ? ['setpriv', '--inh-caps=-fowner', '--bounding-set=-fowner', ...node] : node;
  const [program = '', ...args] = asController;
  expect(spawnSync(program, args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  expect(statSync(join(folder, 'a', 'state.json')).mode & 0o777).toBe(0o644);
});

test('removeAbandonedFiles takes away temporary files of writers that are gone, and no other file', async () => {
  const gone = spawnSync(process.execPath, ['--version']).pid;
  mkdirSync(join(folder, 'configs'));
  const abandoned = [`a.secret.${gone}.0123abcd.tmp`, `configs/b.json.${gone}.deadbeef.tmp`];
  const others = [`c.json.${process.pid}.0123abcd.tmp`, 'd.tmp', `e.${gone}.0123abcd.json`, 'f.json'];
  for (const name of [...abandoned, ...others]) writeFileSync(join(folder, name), '');
  await removeAbandonedFiles(folder);
  expect(abandoned.filter((name) => existsSync(join(folder, name)))).toEqual([]);
  expect(others.filter((name) => !existsSync(join(folder, name)))).toEqual([]);
  await removeAbandonedFiles(join(folder, 'missing'));
});
