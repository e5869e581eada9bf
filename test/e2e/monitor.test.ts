import { type ClusterReport, clusterReportSchema, EXIT } from '@orama/protocol';
import { CliProcess, LocalCluster, type NamespaceAccess, SyntheticPeer, UNITS, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** `orama monitor report` against a local cluster with a call, and with parts of it broken. */
let cluster: LocalCluster;
let access: NamespaceAccess;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 109 });
  access = await cluster.createEnabled('seen');
});
afterAll(() => cluster?.stop());

const report = async (...args: string[]) => {
  const { code, stdout } = await cluster.run('monitor', 'report', '--json', ...args);
  return { code, ...clusterReportSchema.parse(JSON.parse(stdout)) };
};
const look = (accept: (seen: ClusterReport & { code: number | null }) => boolean) =>
  waitUntil('the report to show it', () => report(), accept);

test('a call is seen: rooms, peers, what TURN relays, with every process and name as it should be', async () => {
  const target = { ...cluster.signalling(access), room: 'talk' };
  const [one, two] = await Promise.all(
    [1, 2].map((n) =>
      SyntheticPeer.join({ ...target, name: `peer ${n}`, transport: 'udp', localAddress: `${cluster.prefix}.9.${n}` }),
    ),
  );
  const seen = await look(({ namespaces: [seen] }) => seen?.peers === 2 && seen.relayed_bps > 50_000);
  expect(seen).toMatchObject({ code: EXIT.done, problems: [] });
  expect(seen.namespaces).toMatchObject([
    {
      namespace: 'seen',
      state: 'enabled',
      sfu_up: 3,
      sfu_wanted: 3,
      turn_up: 2,
      turn_wanted: 2,
      dns_agrees: true,
      rooms: 1,
    },
  ]);
  expect(seen.namespaces[0]?.certificate_days).toBeGreaterThan(30);
  expect(seen.nodes.map(({ node }) => node)).toEqual(['node-1', 'node-2', 'node-3']);
  for (const { report } of seen.nodes) {
    expect(report).toMatchObject({ store: { up: true }, gateway: { up: true }, turn: { up: true } });
    expect(report?.controlplane.event_loop_delay_ms).toBeGreaterThanOrEqual(0);
    expect(report?.port_blocks.sfu).toEqual({ free: 19, total: 20 });
    expect(report?.namespaces[0]).toMatchObject({ sfu_up: true, sfu: { restarts: 0 } });
  }
  expect(seen.nodes.reduce((sum, { report }) => sum + (report?.turn.allocations ?? 0), 0)).toBe(2);
  await Promise.all([one?.close(), two?.close()]);
  const text = await cluster.orama('monitor', 'report', '--node', 'node-2');
  expect(text.stdout).toContain('everything is as it should be');
  expect(text.stdout).not.toMatch(/^node-1 /m);
});

test('an SFU that is killed is down, then up again with a restart counted', async () => {
  const pid = await cluster.killService(2, UNITS.sfu('seen'));
  await cluster.waitRestarted(2, UNITS.sfu('seen'), pid, 20_000);
  const seen = await look(({ namespaces: [seen] }) => seen?.sfu_up === 3);
  const sfu = seen.nodes[1]?.report?.namespaces[0]?.sfu;
  expect(sfu).toMatchObject({ up: true, restarts: 1 });
  const metrics = await (await fetch(`${cluster.node(2).api}/metrics`)).text();
  expect(metrics).toMatch(/orama_service_ends_total\{service="sfu",ns="seen",.*\} 1/);
});

test('a TURN server that is drained is down and a warning, with DNS that follows', async () => {
  const { nodes } = await report();
  const node = nodes.find(({ report }) => report?.namespaces[0]?.turn_up)?.node ?? '';
  await cluster.orama('turn', 'drain', '--node', node);
  const seen = await look(({ namespaces: [seen] }) => seen?.turn_up === 1 && seen.dns_agrees === true);
  expect(seen.code).toBe(EXIT.warnings);
  expect(seen.problems).toMatchObject([
    { severity: 'warning', node, text: expect.stringContaining(`orama turn resume --node ${node}`) },
    { severity: 'warning', node: null, text: 'turn of seen is up on 1 of 2 nodes' },
  ]);
  const following = cluster.spawn('monitor', 'report', '--interval', '1s', '--json');
  await following.printedLines(1);
  expect(await following.kill('SIGINT')).toMatchObject({ code: EXIT.warnings });
  await cluster.orama('turn', 'resume', '--node', node);
  await look(({ problems }) => problems.length === 0);
});

test('a node whose controlplane hangs is a row that says so, from whichever node is asked', async () => {
  process.kill(cluster.controlplanePid(3), 'SIGSTOP');
  try {
    const seen = await report();
    expect(seen.code).toBe(EXIT.failed);
    expect(seen.nodes[2]).toMatchObject({ node: 'node-3', report: null, reason: expect.stringContaining('no answer') });
    expect(seen.problems[0]?.text).toMatch(/^node-3 does not answer/);
    const text = await cluster.run('monitor', 'report');
    expect(text.stdout).toMatch(/node-3 +no answer/);
  } finally {
    process.kill(cluster.controlplanePid(3), 'SIGCONT');
  }
  await look(({ problems }) => problems.length === 0);
});

test('with --interval a report follows the other, a line each with --json, until it is interrupted', async () => {
  const following = cluster.spawn('monitor', 'report', '--interval', '1s', '--json');
  await following.printedLines(2);
  const { code, stdout } = await following.kill('SIGINT');
  expect(code).toBe(EXIT.done);
  const lines = stdout.trim().split('\n');
  for (const line of lines) clusterReportSchema.parse(JSON.parse(line));
  expect(lines.length).toBeGreaterThanOrEqual(2);
});

test('a node that there is none of, and a time that is none, are told', async () => {
  const unknown = await cluster.run('monitor', 'report', '--node', 'node-9');
  expect(unknown).toMatchObject({ code: EXIT.notFound, stderr: expect.stringContaining('node-1, node-2, node-3') });
  const bad = await cluster.run('monitor', 'report', '--interval', '0s');
  expect(bad).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining('10s') });
  const nobody = await new CliProcess(['monitor', 'report', '--data-dir', `${cluster.dataDir}/nothing`]).finished;
  expect(nobody.code).toBe(EXIT.unreachable);
});
