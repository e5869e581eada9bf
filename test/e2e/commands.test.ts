import { EXIT } from '@orama/protocol';
import { LocalCluster, snapshotOf } from '@orama/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Bad input to the command line: each gets its clear error, and nothing is half done. */
let cluster: LocalCluster;
const WRITTEN = [
  'namespaces',
  'keys',
  'namespace_webrtc_config',
  'webrtc_port_allocations',
  'dns_records',
  'operations',
];

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 88 });
  await cluster.createNamespace('taken');
});
afterAll(() => cluster?.stop());

/** Runs a command that must fail, checks that nothing was written, and returns what it said. */
async function refused(...args: string[]) {
  const before = snapshotOf(cluster.databaseFile, WRITTEN);
  const { code, stdout, stderr } = await cluster.run(...args);
  expect(snapshotOf(cluster.databaseFile, WRITTEN)).toBe(before);
  expect(stdout).toBe('');
  expect(stderr).not.toMatch(/\n\s+at /);
  return { code, stderr };
}

test('an unknown namespace is named, with exit code 5, by every command that takes one', async () => {
  const commands = [
    ['namespace', 'enable', 'webrtc', '--namespace', 'nobody'],
    ['namespace', 'disable', 'webrtc', '--namespace', 'nobody'],
    ['namespace', 'webrtc-status', '--namespace', 'nobody'],
    ['namespace', 'delete', 'nobody'],
  ];
  const results = await Promise.all(commands.map(async (args) => ({ args, ...(await refused(...args)) })));
  for (const { args, code, stderr } of results) {
    expect({ args, code }).toEqual({ args, code: EXIT.notFound });
    expect(stderr).toContain('NAMESPACE_NOT_FOUND');
    expect(stderr).toContain('nobody');
  }
});

test.concurrent.each([
  'Upper',
  '-start',
  'end-',
  'under_score',
  'a'.repeat(43),
  'dot.ted',
  "'; DROP TABLE nodes; --",
  '../../etc',
])('the namespace name %j is refused as usage', async (name) => {
  const { code, stderr } = await refused('namespace', 'create', '--', name);
  expect(code).toBe(EXIT.usage);
  expect(stderr).toMatch(/a-z, 0-9/);
});

test('a name that is taken is a conflict', async () => {
  const { code, stderr } = await refused('namespace', 'create', 'taken');
  expect(code).toBe(EXIT.conflict);
  expect(stderr).toContain('NAMESPACE_EXISTS');
});

test('missing and unknown flags are usage errors that say which', async () => {
  const commands = [
    [['namespace', 'enable', 'webrtc'], '--namespace'],
    [['namespace', 'disable', 'webrtc'], '--namespace'],
    [['namespace', 'webrtc-status'], '--namespace'],
    [['namespace', 'create'], 'name'],
    [['namespace', 'enable', 'webrtc', '--namespace', 'taken', '--sfu-nodes', 'many'], '--sfu-nodes'],
    [['namespace', 'enable', 'webrtc', '--namespace', 'taken', '--bogus'], '--bogus'],
    [['namespace', 'enable', 'tape', '--namespace', 'taken'], 'tape'],
    [['nonsense'], 'nonsense'],
  ] as const;
  const results = await Promise.all(
    commands.map(async ([args, word]) => ({ args, word, ...(await refused(...args)) })),
  );
  for (const { args, word, code, stderr } of results) {
    expect({ args, code }).toEqual({ args, code: EXIT.usage });
    expect(stderr).toContain(word);
  }
});

test('more nodes than there are is a conflict that names the numbers', async () => {
  const { code, stderr } = await refused('namespace', 'enable', 'webrtc', '--namespace', 'taken', '--sfu-nodes', '5');
  expect(code).toBe(EXIT.conflict);
  expect(stderr).toContain('NOT_ENOUGH_NODES');
  expect(stderr).toMatch(/5.*3|3.*5/s);
});

test('with --json an error is JSON on stdout, with code, message and hint', async () => {
  const { code, stdout } = await cluster.run('namespace', 'webrtc-status', '--namespace', 'nobody', '--json');
  expect(code).toBe(EXIT.notFound);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'NAMESPACE_NOT_FOUND', hint: expect.any(String) } });
});

describe('the daemon', () => {
  test('that is down is exit code 3, with the next step', async () => {
    const { code, stderr } = await refused(
      ...['namespace', 'list', '--api', `http://${cluster.prefix}.0.9:6001`],
      ...['--cluster-key-file', `${cluster.dataDir}/cluster.key`],
    );
    expect(code).toBe(EXIT.unreachable);
    expect(stderr).toMatch(/next: /);
    expect(stderr).toContain(`${cluster.prefix}.0.9:6001`);
  });

  test('that was never started is exit code 3, with the next step', async () => {
    const { code, stderr } = await refused('namespace', 'list', '--data-dir', `${cluster.dataDir}/nothing-here`);
    expect(code).toBe(EXIT.unreachable);
    expect(stderr).toContain('orama dev start');
  });

  test('refuses another cluster key with exit code 4', async () => {
    const { code, stderr } = await refused(
      ...['namespace', 'create', 'intruder', '--api', cluster.node(1).api],
      ...['--cluster-key-file', `${cluster.dataDir}/cluster.id`],
    );
    expect(stderr).toMatch(/UNAUTHORIZED|FORBIDDEN/);
    expect(code).toBe(EXIT.refused);
  });

  test('a second start on the same data says that it runs, and changes nothing', async () => {
    const before = cluster.state;
    const { code, output } = await cluster.run('dev', 'start', '--detach');
    expect(output).toMatch(/already|runs|running/);
    expect(code === EXIT.done || code === EXIT.conflict).toBe(true);
    expect(cluster.state.supervisor?.pid).toBe(before.supervisor?.pid);
    expect(cluster.state.controlplanes).toEqual(before.controlplanes);
  });
});
