import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Workspace packages resolve to their sources, so that a unit test never runs against a stale build.
const conditions = ['source', 'node', 'import', 'module', 'default'];

// Files that look at how well browsers send and play, and how soon again: of two at a time each would see the other's load.
const withRates = ['call', 'crashes', 'record', 'simulcast', 'timing', 'turn-stream', 'whip'].map(
  (name) => `test/e2e/${name}.test.ts`,
);

// Files that run clusters without browsers.
const withoutBrowsers = [
  'test/e2e/bundles.test.ts',
  'test/e2e/commands.test.ts',
  'test/e2e/disable.test.ts',
  'test/e2e/doctor.test.ts',
  'test/e2e/environments.test.ts',
  'test/e2e/inspector.test.ts',
  'test/e2e/interrupted.test.ts',
  'test/e2e/local-cluster.test.ts',
  'test/e2e/monitor.test.ts',
  'test/e2e/ports.test.ts',
  'test/e2e/prometheus.test.ts',
  'test/e2e/rooms.test.ts',
  'test/e2e/rqlite.test.ts',
  'test/e2e/sfu-address.test.ts',
  'test/e2e/turn-commands.test.ts',
  'test/interop/gateway-sfu.test.ts',
  'test/interop/turn.test.ts',
];

/** Between two looks of `expect.poll`, which mostly run a command: it must not take the processor from what is waited for. */
const POLL_MS = 300;

interface Group {
  name: string;
  groupOrder: number;
  maxWorkers: number;
  include: string[];
  exclude?: string[];
}

/** Files with whole clusters, of which so many run at a time; after the others, because nothing else may run then. */
function clusters({ name, groupOrder, maxWorkers, include, exclude = [] }: Group): TestProjectInlineConfiguration {
  return {
    extends: true,
    test: {
      ...{ name, maxWorkers, include, exclude, sequence: { groupOrder } },
      globalSetup: 'test/e2e/build.ts',
      testTimeout: 120_000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 10_000, interval: POLL_MS } },
    },
  };
}

// All of a group must have the same number. One of them is kept by the chaos, which mostly waits.
const UNIT_WORKERS = availableParallelism() + 1;

// Files that take long: begun last, they would go on alone at the end.
const LONGEST = [
  ...['chaos/chaos', 'e2e/credentials', 'e2e/doctor', 'e2e/interrupted', 'e2e/monitor', 'interop/turn'],
  ...['nodes/firewall', 'nodes/first-cluster', 'nodes/join'],
].map((name) => `test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONGEST.some((file) => moduleId.endsWith(file));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** Real nodes, for which nobody but root can make machines: `pnpm test:nodes`. */
const nodes: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'nodes',
    maxWorkers: 2,
    sequence: { groupOrder: 5 },
    include: ['test/nodes/**/*.test.ts'],
    globalSetup: ['test/e2e/build.ts', 'test/nodes/bed/release.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000, interval: POLL_MS } },
  },
};

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    environment: 'node',
    pool: 'forks',
    exclude: ['**/node_modules/**', '**/dist/**'],
    sequence: { sequencer: LongestFirst },
    // Conditions are waited for, never slept for: these only say when a test has certainly failed on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Processes and threads that a test starts run from our sources: each is compiled once, not by every process.
          env: { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
          // Three hundred files in a few processes: one of its own for each took twice as long.
          isolate: false,
          maxWorkers: UNIT_WORKERS,
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
          // Beside the unit tests, and begun before them.
          name: 'chaos',
          maxWorkers: UNIT_WORKERS,
          include: ['test/chaos/**/*.test.ts'],
          testTimeout: 600_000,
        },
      },
      clusters({ name: 'rates', groupOrder: 1, maxWorkers: 1, include: withRates }),
      clusters({
        ...{ name: 'cluster', groupOrder: 2, maxWorkers: 2 },
        include: ['test/e2e/**/*.test.ts', 'test/interop/**/*.test.ts'],
        exclude: [...withRates, ...withoutBrowsers],
      }),
      clusters({ name: 'commands', groupOrder: 3, maxWorkers: 3, include: withoutBrowsers }),
      {
        extends: true,
        test: {
          name: 'conformance',
          // Alone: a server that has to wait for its processor looks like one that does not answer.
          sequence: { groupOrder: 4 },
          include: ['test/conformance/**/*.test.ts'],
          hookTimeout: 240_000,
        },
      },
      ...(process.getuid?.() === 0 ? [nodes] : []),
    ],
  },
});
