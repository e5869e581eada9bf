import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '@orama/protocol';
import { LocalCluster, UNITS, waitUntil } from '@orama/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/** A cluster is broken in one way after the other, and the inspector has to say by the right check what is wrong. */
const NAME = 'inspected';
let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 85 });
  await cluster.createEnabled(NAME);
});
afterAll(() => cluster?.stop());

interface Inspection {
  severity: string;
  checks: {
    id: string;
    severity: string;
    findings: { severity: string; namespace?: string; node?: string; seen: string; mend?: string }[];
  }[];
}

async function inspect(...args: string[]) {
  const { code, stdout } = await cluster.run('inspector', '--json', ...args);
  const { severity, checks } = JSON.parse(stdout) as Inspection;
  const bad = checks.flatMap(({ id, findings }) =>
    findings.filter((finding) => finding.severity !== 'ok').map((finding) => ({ id, ...finding })),
  );
  return { code, severity, bad, checks };
}

/** What is undone after each test, also after one that fails. */
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Silences a process, as one that hangs, and lets it go on after the test. */
function silence(pid: number): void {
  process.kill(pid, 'SIGSTOP');
  undo.push(() => process.kill(pid, 'SIGCONT'));
}

const id = (node: number) => cluster.node(node).id;

test('a cluster on which everything is well passes every check, and nothing is left of the look', async () => {
  await cluster.waitHealthy(NAME);
  const { code, severity, bad, checks } = await inspect();
  expect({ code, severity, bad }).toEqual({ code: EXIT.done, severity: 'ok', bad: [] });
  expect(checks.length).toBeGreaterThanOrEqual(14);
  const { nodes } = await cluster.json<{ nodes: { allocations: number }[] }>('node', 'list');
  await waitUntil(
    'its allocations to be given back',
    async () => (await cluster.status(NAME)).services.reduce((sum, { allocations = 0 }) => sum + allocations, 0),
    (allocations) => allocations === 0,
  );
  expect(nodes).toHaveLength(3);
});

describe('services', () => {
  test('one SFU that hangs is a warning, all of them are critical', async () => {
    silence(cluster.pidOf(2, UNITS.sfu(NAME)));
    const one = await inspect('--only', 'sfu-coverage');
    expect(one).toMatchObject({ code: EXIT.warnings, severity: 'warning', bad: [{ namespace: NAME }] });
    expect(one.bad[0]?.seen).toMatch(new RegExp(`^2 of 3 SFUs answer \\(${id(2)}: it does not answer`));
    for (const node of [1, 3]) silence(cluster.pidOf(node, UNITS.sfu(NAME)));
    const all = await inspect('--only', 'sfu-coverage');
    expect(all).toMatchObject({ code: EXIT.failed, severity: 'critical' });
    expect(all.bad[0]?.seen).toMatch(/^0 of 3 SFUs answer/);
  });

  test('a TURN server that an operator took out is missed by redundancy, and the command that is told brings it back', async () => {
    await cluster.waitHealthy(NAME);
    await cluster.orama('turn', 'drain', '--node', id(2), '--deadline', '1');
    const drained = await inspect('--only', 'turn-redundancy', '--only', 'turn-reachable', '--only', 'port-rows');
    // It is wanted, and said with what ends it.
    expect(drained.code).toBe(EXIT.warnings);
    expect(new Set(drained.bad.map(({ mend }) => mend))).toEqual(new Set([`orama turn resume --node ${id(2)}`]));
    const [redundancy] = drained.bad.filter((finding) => finding.id === 'turn-redundancy');
    expect(redundancy?.seen).toMatch(/^1 of 2 TURN servers serve it .*an operator keeps it down/);
    const unreached = drained.bad.filter((finding) => finding.id === 'turn-reachable');
    expect(unreached.map(({ node, seen }) => `${node} ${seen.split(' ')[0]}`)).toEqual(
      ['udp', 'tcp', 'tls'].map((transport) => `${id(2)} ${transport}`),
    );
    expect(drained.bad.find((finding) => finding.id === 'port-rows')).toMatchObject({ node: id(2), namespace: NAME });
    expect(redundancy?.mend).toBe(`orama turn resume --node ${id(2)}`);
    await cluster.orama(...(redundancy?.mend ?? '').split(' ').slice(1));
    await cluster.waitHealthy(NAME);
    expect((await inspect('--only', 'turn-redundancy')).code).toBe(EXIT.done);
  });

  test('a name that leads to a TURN server that hangs is told by the check of DNS', async () => {
    await cluster.waitHealthy(NAME);
    silence(cluster.pidOf(1, UNITS.turn));
    const { code, bad } = await inspect('--only', 'dns');
    expect(code).toBe(EXIT.failed);
    const turn = bad.find(({ seen }) => seen.includes(`turn.ns-${NAME}`));
    expect(turn?.seen).toContain(`leads to ${cluster.node(1).publicIp}, where nothing serves it`);
  });
});

describe('files, sockets and leftovers', () => {
  test('a secret that others may read is critical until the command that is told has mended it', async () => {
    const file = join(cluster.node(2).dataDir, 'configs', UNITS.sfu(NAME), 'secret');
    chmodSync(file, 0o644);
    undo.push(() => chmodSync(file, 0o600));
    const { code, bad } = await inspect('--only', 'secret-files');
    expect(code).toBe(EXIT.failed);
    expect(bad).toMatchObject([{ node: id(2), seen: `${file} has mode 0644` }]);
    const mend = /chmod go= \S+(?=;)/.exec(bad[0]?.mend ?? '')?.[0] ?? '';
    expect(await once(spawn('sh', ['-c', mend]), 'close')).toEqual([0, null]);
    expect((await inspect('--only', 'secret-files')).code).toBe(EXIT.done);
  });

  test('a folder of a namespace that is not there is an orphan, for as long as the node has not removed it', async () => {
    const folder = join(cluster.node(3).dataDir, 'namespaces', 'ghost');
    const { bad } = await waitUntil(
      'the folder to be told before the node removes it',
      () => {
        mkdirSync(folder, { recursive: true });
        return inspect('--only', 'orphans');
      },
      ({ code }) => code === EXIT.warnings,
    );
    expect(bad).toMatchObject([{ node: id(3), mend: `on ${id(3)}: rm -r ${folder}` }]);
    await waitUntil(
      'nothing to be left',
      () => inspect('--only', 'orphans'),
      ({ code }) => code === EXIT.done,
    );
  });

  test('a process of an SFU that listens on all addresses, and one on a port of nobody, are told', async () => {
    const node = cluster.node(1);
    const listen = (address: string, port: number) =>
      `require('dgram').createSocket('udp4').bind(${port}, '${address}', () => console.log('bound'))`;
    const script = `${listen('0.0.0.0', 20_400)};${listen(node.wireguardIp, 25_000)}`;
    // The mark of a unit's processes.
    const env = { ...process.env, ORAMA_UNIT: UNITS.sfu(NAME), ORAMA_RUN_DIR: join(node.dataDir, 'run') };
    const intruder: ChildProcess = spawn(process.execPath, ['-e', script], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    undo.push(async () => {
      intruder.kill('SIGKILL');
      await once(intruder, 'close');
    });
    let bound = '';
    intruder.stdout?.on('data', (text) => {
      bound += text;
    });
    await waitUntil(
      'both sockets',
      () => bound,
      (text) => text.match(/bound/g)?.length === 2,
    );
    const { code, bad } = await inspect('--only', 'sfu-wireguard-only', '--only', 'port-rows');
    expect(code).toBe(EXIT.failed);
    expect(bad).toMatchObject([
      { id: 'sfu-wireguard-only', severity: 'critical', node: id(1) },
      { id: 'port-rows', severity: 'warning', node: id(1) },
    ]);
    expect(bad[0]?.seen).toContain('udp 0.0.0.0:20400');
    expect(bad[1]?.seen).toContain(`udp ${node.wireguardIp}:25000`);
  });
});

describe('who does not answer', () => {
  test('a node is a failure of every check that needs the nodes, by its name', async () => {
    silence(cluster.controlplanePid(3));
    const { code, bad } = await inspect();
    expect(code).toBe(EXIT.failed);
    const silent = bad.filter(({ seen }) => seen.startsWith(`${id(3)} does not answer`)).map((finding) => finding.id);
    expect(silent).toEqual(
      expect.arrayContaining(['sfu-coverage', 'turn-redundancy', 'sfu-wireguard-only', 'dns', 'clock-skew', 'orphans']),
    );
    expect(silent).not.toContain('turn-reachable');
  });

  test('a cluster that is down fails every check, and that is no silence', async () => {
    await cluster.orama('dev', 'stop');
    undo.push(() => cluster.startAgain());
    const { code, severity, checks } = await inspect();
    expect({ code, severity }).toEqual({ code: EXIT.failed, severity: 'critical' });
    expect(checks.filter((check) => check.severity !== 'critical')).toEqual([]);
    expect(checks[0]?.findings[0]?.seen).toContain('no controlplane answers');
  });
});

test('what cannot be asked for is refused with the next step', async () => {
  expect(await cluster.run('inspector', '--only', 'nothing')).toMatchObject({ code: EXIT.usage });
  expect(await cluster.run('inspector', '--namespace', 'nobody')).toMatchObject({ code: EXIT.notFound });
  const { checks } = await cluster.json<{ checks: { id: string }[] }>('inspector', '--list');
  expect(checks.map((check) => check.id)).toContain('sfu-coverage');
});
