import { describe, expect, test } from 'vitest';
import { findViolations } from './rules.ts';
import { readPackages, readSources, SourceFile } from './workspace.ts';

const show = (violations: { where: string; rule: string }[]) =>
  violations.map(({ where, rule }) => `${where}: ${rule}`);

describe('the repository', () => {
  test('keeps every rule of its layers', () => {
    expect(show(findViolations(readPackages(), readSources()))).toEqual([]);
  });

  test('is really read: the packages and their imports are found', () => {
    const files = readSources();
    expect(readPackages().length).toBeGreaterThanOrEqual(15);
    expect(files.find((file) => file.path === 'packages/core/src/errors.ts')?.imports).toContain('@orama/protocol');
    expect(files.flatMap((file) => file.imports)).toEqual(
      expect.arrayContaining(['better-sqlite3', 'node-datachannel', 'fastify', 'playwright-core']),
    );
  });
});

describe('each rule bites', () => {
  const broken = (path: string, text: string) => show(findViolations([], [new SourceFile(path, text)]));

  test.each([
    ['packages/protocol/src/x.ts', "import { x } from '@orama/core';", 'must not import @orama/core'],
    ['packages/core/src/x.ts', "export * from '@orama/store';", 'must not import @orama/store'],
    ['packages/turn/src/x.ts', "import type { x } from '@orama/sfu';", 'must not import @orama/sfu'],
    ['packages/sfu/src/x.ts', "const x = await import('@orama/turn');", 'must not import @orama/turn'],
    ['packages/gateway/src/x.ts', "import '@orama/sfu/rtc';", 'must not import @orama/sfu'],
    ['packages/gateway/src/x.ts', "import { x } from '@orama/turn';", 'must not import @orama/turn'],
    ['packages/client/src/x.ts', "import { x } from '@orama/core';", 'must not import @orama/core'],
    ['packages/client/src/x.ts', "import fs from 'node:fs';", 'runs in browsers and imports node:fs'],
    ['packages/store/src/x.ts', "import { x } from '@orama/controlplane';", 'must not import @orama/controlplane'],
    ['packages/core/src/x.ts', "import { x } from '@orama/testkit';", 'imports @orama/testkit outside of tests'],
    ['packages/core/src/x.ts', "import { x } from '../../turn/src/x.ts';", 'reaches into another package by path'],
    ['packages/gateway/src/x.ts', "import Database from 'better-sqlite3';", 'only packages/store/src/ may'],
    ['packages/sfu/src/room/x.ts', "import nd from 'node-datachannel';", 'only packages/sfu/src/rtc/ may'],
    ['cmd/sfu/src/main.ts', 'const x = process.env.X;', 'reads process.env'],
    ['cmd/sfu/src/main.ts', "const x = process['env'];", 'reads process.env'],
  ])('%s with %j', (path, text, rule) => {
    expect(broken(path, text)).toEqual([expect.stringContaining(rule)]);
  });

  test('a comment or a test may speak of what the code must not do', () => {
    expect(
      broken('packages/core/src/x.ts', "// import '@orama/store'; process.env\n/* import 'better-sqlite3' */"),
    ).toEqual([]);
    expect(broken('packages/core/src/x.test.ts', "import { x } from '@orama/testkit';")).toEqual([]);
  });

  test('a manifest that reaches upwards, or names what nobody imports, is refused', () => {
    const core = { folder: 'packages/core', name: '@orama/core', devDependencies: [] };
    const source = new SourceFile('packages/core/src/x.ts', "import { pino } from 'pino';");
    expect(show(findViolations([{ ...core, dependencies: ['pino', '@orama/store'] }], [source]))).toEqual([
      'packages/core/package.json: must not depend on @orama/store',
      'packages/core/package.json: depends on @orama/store and never imports it',
    ]);
    expect(show(findViolations([{ ...core, dependencies: [] }], [source]))).toEqual([
      'packages/core/src/x.ts: imports pino, which packages/core/package.json does not name',
    ]);
    expect(show(findViolations([{ ...core, folder: 'packages/new', dependencies: [] }], []))).toEqual([
      'packages/new/package.json: has no place in the layers: name it in MAY_IMPORT',
    ]);
  });
});
