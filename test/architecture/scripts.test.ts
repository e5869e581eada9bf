import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { REPOSITORY } from '@orama/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';

/** deploy/dev/run.sh in a repository whose pnpm only writes down what it was asked. */
let dir: string;
const PROGRAM = 'cmd/orama/dist/main.js';
const SOURCE = 'packages/core/src/index.ts';
const BUILDS = `echo "$1" >> calls; mkdir -p ${dirname(PROGRAM)}; echo 'console.log(process.argv.slice(2).join())' > ${PROGRAM}`;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'orama-scripts-'));
  for (const name of ['run.sh', 'prepare.sh']) {
    write(`deploy/dev/${name}`, '');
    copyFileSync(join(REPOSITORY, 'deploy/dev', name), join(dir, 'deploy/dev', name));
  }
  for (const name of ['deploy/dev/bundle.ts', 'test/package.json', 'package.json', 'tsconfig.json']) write(name, '{}');
  for (const name of ['patches/some.patch', 'pnpm-lock.yaml', SOURCE]) write(name, '');
  pnpm(BUILDS);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text: string): void {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), text);
}

/** What pnpm does, as a shell script. */
function pnpm(script: string): void {
  write('node_modules/.bin/pnpm', `#!/bin/sh\n${script}\n`);
  chmodSync(join(dir, 'node_modules/.bin/pnpm'), 0o755);
}

/** Runs the program; pnpm's calls since the last time come with it. */
function run(...args: string[]) {
  write('calls', '');
  const { status, stdout, stderr } = spawnSync('sh', ['deploy/dev/run.sh', PROGRAM, ...args], {
    cwd: dir,
    encoding: 'utf8',
  });
  return { status, stdout, stderr, calls: readFileSync(join(dir, 'calls'), 'utf8').split('\n').filter(Boolean) };
}

test('a script installs and builds before its program runs, and neither again until something changes', () => {
  expect(run('dev', 'start')).toMatchObject({ status: 0, stdout: 'dev,start\n', calls: ['install', 'run'] });
  expect(run('dev', 'start')).toMatchObject({ status: 0, stdout: 'dev,start\n', stderr: '', calls: [] });
  for (const changed of [SOURCE, 'deploy/dev/bundle.ts', 'pnpm-lock.yaml', 'tsconfig.json']) {
    const soon = Date.now() / 1000 + 1;
    utimesSync(join(dir, changed), soon, soon);
    expect(run().calls, changed).toEqual(['install', 'run']);
    utimesSync(join(dir, changed), 0, 0);
  }
  rmSync(join(dir, PROGRAM));
  expect(run().calls).toEqual(['install', 'run']);
});

test('a build that fails is shown, ends the script, and is tried again', () => {
  pnpm('if [ "$1" = run ]; then echo "no such type"; exit 3; fi');
  expect(run()).toMatchObject({ status: 3, stdout: '', stderr: expect.stringContaining('no such type') });
  pnpm(BUILDS);
  expect(run()).toMatchObject({ status: 0, calls: ['install', 'run'] });
});

test('the separator that pnpm hands over does not reach the program', () => {
  expect(run('demo', '--', '--check').stdout).toBe('demo,--check\n');
});

test('every script of package.json that runs a program prepares it first', () => {
  const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const name of ['demo', 'bench', 'orama', 'conformance', 'fuzz', 'soak'])
    expect(scripts[name], name).toMatch(/^sh deploy\/dev\/run\.sh /);
});
