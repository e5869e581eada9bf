import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Workspace packages resolve to their sources, so that a unit test never runs against a stale build.
const conditions = ['source', 'node', 'import', 'module', 'default'];

// Files that run clusters without browsers: two of them at a time leave each its processors.
const withoutBrowsers = [
  'test/e2e/{commands,disable,interrupted,local-cluster,ports,rqlite,sfu-address,turn-commands}.test.ts',
  'test/interop/{gateway-sfu,turn}.test.ts',
];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    environment: 'node',
    pool: 'forks',
    exclude: ['**/node_modules/**', '**/dist/**'],
    // Conditions are waited for, never slept for: these only say when a test has certainly failed on a busy machine.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Processes and threads that a test starts run from our sources: each is compiled once, not by every process.
          env: { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
          include: [
            'packages/*/src/**/*.test.ts',
            'cmd/*/src/**/*.test.ts',
            'test/{architecture,bench,fuzz,soak}/**/*.test.ts',
          ],
        },
      },
      {
        extends: true,
        test: {
          name: 'cluster',
          // After the others: nothing else runs while a cluster and its browsers do.
          sequence: { groupOrder: 1 },
          include: ['test/e2e/**/*.test.ts', 'test/interop/**/*.test.ts'],
          exclude: withoutBrowsers,
          globalSetup: 'test/e2e/build.ts',
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Whole clusters and real browsers: one file at a time leaves each its processors.
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'commands',
          sequence: { groupOrder: 2 },
          include: withoutBrowsers,
          globalSetup: 'test/e2e/build.ts',
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: {
          name: 'conformance',
          // Alone: a server that has to wait for its processor looks like one that does not answer.
          sequence: { groupOrder: 3 },
          include: ['test/conformance/**/*.test.ts'],
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
