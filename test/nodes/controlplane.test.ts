import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { ORAMA, PROGRAM } from './bed/orama.ts';
import { DATA } from './bed/root.ts';

const CONTROLPLANE = 'orama-controlplane.service';
const TURN = 'orama-turn.service';
const GATEWAY = 'orama-gateway.service';
const SFU = 'orama-namespace-sfu@demo.service';
const TENANT = 'orama-namespace-turn@demo.service';
const TENANTS = '/run/orama/tenants';

let bed: Bed;
let node: SystemdNode;
beforeAll(async () => {
  bed = await Bed.start();
  node = bed.node(1);
  writeConfig('cluster.key', '0'.repeat(64));
  writeConfig(
    'controlplane.yaml',
    JSON.stringify({
      clusterId: 'nodes',
      node: 'node-1',
      wireguardIp: node.wireguardIp,
      publicIp: node.publicIp,
      wireguardNetwork: WIREGUARD_NETWORK,
      baseDomain: 'orama.test',
      dataDir: DATA,
      clusterKeyFile: '/etc/orama/cluster.key',
      store: { driver: 'sqlite', file: `${DATA}/store/store.sqlite` },
      api: {},
      services: { manager: 'systemd' },
      gateway: { listen: { address: '127.0.0.1', port: 6080 }, operatorApi: { allowFrom: ['127.0.0.0/8'] } },
      turn: { workers: 1, drainTimeoutMs: 7_000 },
      dns: { writer: 'file', file: `${DATA}/zone` },
    }),
  );
});
afterAll(() => bed?.close());

/** A file of the node's configuration, which only root reads. */
function writeConfig(name: string, content: string): void {
  writeFileSync(join(node.root, 'etc/orama', name), content, { mode: 0o600 });
}

const orama = (...args: string[]) =>
  node.do(
    ...PROGRAM,
    ...['--api', 'http://127.0.0.1:6001'],
    ...['--cluster-key-file', '/etc/orama/cluster.key', ...args],
  );
const active = async (unit: string) => (await node.show(unit, 'ActiveState')).ActiveState;

test('a controlplane starts the units of its node, with what only the node knows', async () => {
  await node.do('systemctl', 'start', CONTROLPLANE);
  for (const unit of [TURN, GATEWAY]) await expect.poll(() => active(unit)).toBe('active');
  expect(await node.show(TURN, 'TimeoutStopUSec')).toEqual({ TimeoutStopUSec: '11s' });
  await expect.poll(async () => (await node.show(CONTROLPLANE, 'StatusText')).StatusText).toBe('ok');
});

test('a service that somebody stopped is started again without a word of a crash, and a crash is told with its signal', async () => {
  const warnings = () => node.do('journalctl', '--no-pager', '--priority=warning', '-u', CONTROLPLANE);
  await node.do('systemctl', 'stop', GATEWAY);
  await expect.poll(() => active(GATEWAY)).toBe('active');
  expect(await warnings()).not.toContain('"unit":"orama-gateway"');
  await node.do('systemctl', 'kill', '--signal=SIGKILL', GATEWAY);
  await expect.poll(warnings).toContain('"unit":"orama-gateway","reason":"signal SIGKILL"');
  await expect.poll(() => active(GATEWAY)).toBe('active');
});

test('each service sees of the node only what it needs', async () => {
  expect(await node.filesSeenBy(TURN, DATA)).toEqual([
    `${DATA}/configs/orama-turn/config.json`,
    `${DATA}/run/turn.sock`,
  ]);
  const store = ['store.sqlite', 'store.sqlite-shm', 'store.sqlite-wal'].map((name) => `${DATA}/store/${name}`);
  expect(await node.filesSeenBy(GATEWAY, DATA)).toEqual([`${DATA}/configs/orama-gateway/config.json`, ...store]);
  const owners = await node.do('stat', '--format=%U %a', ...store);
  expect(new Set(owners.trim().split('\n'))).toEqual(new Set(['orama 600']));
  expect((await node.run('runuser', '-u', 'orama', '--', 'cat', '/etc/orama/cluster.key')).code).not.toBe(0);
});

test('a namespace that is enabled has its SFU as a unit, which systemd starts again', async () => {
  await orama('namespace', 'create', 'demo');
  await orama('namespace', 'enable', 'webrtc', '--namespace', 'demo', '--sfu-nodes', '1', '--turn-nodes', '1');
  expect(await node.show(SFU, 'ActiveState', 'IPAddressAllow')).toEqual({
    ...{ ActiveState: 'active', IPAddressAllow: WIREGUARD_NETWORK },
  });
  await node.do('systemctl', 'kill', '--signal=SIGKILL', SFU);
  await expect
    .poll(() => node.show(SFU, 'ActiveState', 'NRestarts'))
    .toEqual({ ActiveState: 'active', NRestarts: '1' });
  await expect
    .poll(() => node.do('journalctl', '--no-pager', '--priority=warning', '-u', CONTROLPLANE))
    .toContain('"unit":"orama-namespace-sfu@demo","reason":"signal SIGKILL"');
});

test('an operator with a token sees through the gateway what runs here, and how often systemd started it again', async () => {
  const { token } = JSON.parse(await orama('token', 'create', 'anna', '--scope', 'viewer', '--json'));
  const url = 'http://127.0.0.1:6080/v1/operator/monitor';
  const look = async () => JSON.parse(await node.do('curl', '-s', '-H', `Authorization: Bearer ${token}`, url));
  await expect.poll(look).toMatchObject({
    // Nobody vouches for its names.
    problems: [{ node: 'node-1', text: expect.stringMatching(/^the certificate of turn\.ns-demo\..* is self-signed/) }],
    namespaces: [{ namespace: 'demo', sfu_up: 1, turn_up: 1, dns_agrees: true }],
    nodes: [
      {
        report: {
          gateway: { up: true, restarts: 1 },
          namespaces: [{ sfu: { restarts: 1 }, turn: { certificate: { name_matches: true } } }],
        },
      },
    ],
  });
});

test('webrtc-status tells how an SFU ended that does not run', async () => {
  const dropIn = `/run/systemd/system/${SFU}.d`;
  const reload = () => node.do('systemctl', 'daemon-reload');
  await node.do(
    'sh',
    '-c',
    `mkdir ${dropIn} && printf '[Service]\nEnvironment=NODE_OPTIONS=--no\n' >${dropIn}/no.conf`,
  );
  await reload();
  await node.do('systemctl', 'kill', SFU);
  const status = () => orama('--json', 'namespace', 'webrtc-status', '--namespace', 'demo');
  await expect.poll(status).toMatch(/ended (once|\d+ times in a row), last with exit code 9/);
  await node.do('rm', '-r', dropIn);
  await reload();
  await expect.poll(status).toMatch(/^ {2}"healthy": true,$/m);
});

const journal = () => node.do('journalctl', '--no-pager', '-u', TENANT);
/** Generation of the namespace on the server; undefined while it does not have it. */
const attached = async (): Promise<number | undefined> => {
  const { nodes } = JSON.parse(await orama('--json', 'turn', 'status', '--node', 'node-1'));
  return nodes[0].tenants.find(({ namespace }: { namespace: string }) => namespace === 'demo')?.generation;
};

test('a unit keeps the namespace attached, sees nothing but its tenant, and says what it does', async () => {
  expect(await active(TENANT)).toBe('active');
  expect((await node.show(TENANT, 'StatusText')).StatusText).toBe('attached: 0 allocations, 0 B relayed');
  expect(await journal()).toMatch(
    /"ns":"demo",.*"generation":\d+,"reason":"the server did not have it","msg":"attached"/,
  );
  expect(await node.filesSeenBy(TENANT, '/run/orama')).toEqual([`${TENANTS}/demo/tenant.json`]);
  expect(await node.filesSeenBy(TENANT, '/etc/orama')).toEqual([]);
  await orama('namespace', 'set', 'webrtc', '--namespace', 'demo', '--max-allocations', '50');
  await expect.poll(journal).toContain('"reason":"its settings changed","msg":"attached"');
  await orama('turn', 'check', `turn:${node.publicIp}:3478`, '--namespace', 'demo');
  await expect.poll(journal).toMatch(/"alloc":1,.*"msg":"allocation opened".*"msg":"allocation ended"/s);
});

test('a namespace stays attached over a crash of its unit, of the TURN server and of the controlplane', async () => {
  const generation = await attached();
  expect(generation).toBeGreaterThan(0);
  for (const unit of [TENANT, TURN, CONTROLPLANE]) {
    await node.do('systemctl', 'kill', '--signal=SIGKILL', unit);
    await expect.poll(async () => (await node.show(unit, 'NRestarts')).NRestarts, { message: unit }).toBe('1');
    await expect.poll(() => attached().catch(() => undefined), { message: unit }).toBe(generation);
  }
  const { stdout } = await node.run(...ORAMA, 'monitor', 'report');
  expect(JSON.parse(stdout)).toMatchObject({ nodes: [{ report: { controlplane: { restarts: 1 } } }] });
  expect(await journal()).not.toContain('"msg":"detached"');
  expect(await node.show(TENANT, 'NRestarts', 'ActiveState')).toEqual({ NRestarts: '1', ActiveState: 'active' });
});

test('the inspector sees sockets and files of a real node as they are, and the doctor finds the cluster by its configuration', async () => {
  const access = ['--api', 'http://127.0.0.1:6001', '--cluster-key-file', '/etc/orama/cluster.key'];
  // Nobody serves the names of this cluster, or vouches for them.
  const checks = ['sfu-coverage', 'turn-redundancy', 'sfu-wireguard-only', 'turn-reachable', 'relay-policy'];
  const others = ['services', 'reconcile', 'clock-skew', 'orphans', 'port-rows', 'secret-files', 'version-skew'];
  const only = [...checks, ...others].flatMap((id) => ['--only', id]);
  const bad = async () => {
    const { stdout } = await node.run(...PROGRAM, ...access, 'inspector', '--json', ...only);
    const { checks } = JSON.parse(stdout) as {
      checks: { id: string; severity: string; findings: { seen: string }[] }[];
    };
    return checks.filter(({ severity }) => severity !== 'ok').map(({ id, findings }) => `${id}: ${findings[0]?.seen}`);
  };
  await expect.poll(bad).toEqual([]);
  const secret = `${DATA}/configs/${SFU.replace('.service', '')}/secret`;
  const bind = "require('dgram').createSocket('udp4').bind(20400, '0.0.0.0')";
  await node.do('chmod', '644', secret);
  await node.do('systemd-run', '--quiet', '--uid=orama', '--unit=intruder', '/opt/orama/bin/node', '--eval', bind);
  await expect
    .poll(bad)
    .toEqual([
      'sfu-wireguard-only: bound beside WireGuard: udp 0.0.0.0:20400',
      `secret-files: ${secret} has mode 0644`,
    ]);
  await node.do('systemctl', 'stop', 'intruder');
  await node.do('chmod', '600', secret);
  expect(await bad()).toEqual([]);

  const { stdout } = await node.run(...PROGRAM, 'doctor', '--no-call', '--json');
  const { lines } = JSON.parse(stdout) as { lines: { id: string; state: string; seen: string }[] };
  const failed = lines.filter(({ state }) => state === 'failed');
  expect(
    failed.map(({ id }) => id),
    JSON.stringify(failed),
  ).toEqual(['dns', 'certificate']);
});

/** Lines of the doctor, or of the inspector's checks, with what mends each. */
const mends = (stdout: string): Record<string, string> => {
  const { lines, checks } = JSON.parse(stdout) as {
    lines?: { id: string; mend?: string }[];
    checks?: { id: string; findings: { mend?: string }[] }[];
  };
  const found = lines ?? (checks ?? []).map(({ id, findings }) => ({ id, mend: findings[0]?.mend }));
  return Object.fromEntries(found.map(({ id, mend }) => [id, mend ?? '']));
};

test('the units go on without their controlplane, what mends it is told, and the next one leaves them as they are', async () => {
  const runs = () => Promise.all([TURN, SFU, TENANT].map((unit) => node.show(unit, 'InvocationID', 'ActiveState')));
  const before = await runs();
  await node.do('systemctl', 'stop', CONTROLPLANE);
  const [list, doctor, inspector, room] = await Promise.all(
    [
      ['node', 'list'],
      ['doctor', '--no-call'],
      ['inspector', '--only', 'services'],
      ['room', 'list', '--namespace', 'demo'],
    ].map((command) => node.run(...ORAMA, ...command)),
  );
  const start =
    'on the node: systemctl start orama.target; why it does not run: journalctl -u orama-controlplane -n 20';
  expect(JSON.parse(list?.stdout ?? '')).toMatchObject({ error: { hint: start } });
  expect(mends(doctor?.stdout ?? '')).toMatchObject({
    cluster: start,
    ports: "see why controlplane does not run: journalctl -u 'orama-controlplane' -n 20",
  });
  expect(mends(inspector?.stdout ?? '')).toEqual({ services: start });
  expect(JSON.parse(room?.stdout ?? '')).toMatchObject({
    error: { hint: expect.stringContaining('--gateway https://') },
  });
  await node.do('systemctl', 'start', CONTROLPLANE);
  await expect.poll(async () => (await node.show(CONTROLPLANE, 'StatusText')).StatusText).toBe('ok');
  expect(await runs()).toEqual(before);
});

test('a node that lost its power serves again, and takes away what nobody wants any more', async () => {
  await node.do('systemctl', 'enable', 'orama.target', CONTROLPLANE);
  const left = 'orama-namespace-sfu@gone';
  node.write(`${DATA}/configs/${left}/config.json`, '{}');
  await node.losePower();
  await node.powerOn();
  for (const unit of [SFU, TENANT, GATEWAY]) await expect.poll(() => active(unit), { message: unit }).toBe('active');
  await expect.poll(() => attached().catch(() => undefined)).toBeGreaterThan(0);
  await expect.poll(() => node.do('ls', `${DATA}/configs`)).not.toContain(left);
});

test('stopping orama.target stops everything of the node, the TURN server before its namespaces are detached', async () => {
  await node.do('systemctl', 'stop', 'orama.target');
  for (const unit of [CONTROLPLANE, TURN, GATEWAY, SFU, TENANT])
    await expect.poll(() => active(unit), { message: unit }).toBe('inactive');
  const said = (await journal()).trim().split('\n');
  expect(said.filter((line) => line.includes('"msg":"detached"')).at(-1)).toContain('the server no longer had it');
  await node.do('systemctl', 'start', 'orama.target');
  for (const unit of [SFU, TENANT]) await expect.poll(() => active(unit), { message: unit }).toBe('active');
});

test('a namespace that is disabled leaves nothing', async () => {
  await orama('namespace', 'disable', 'webrtc', '--namespace', 'demo');
  for (const unit of [SFU, TENANT]) expect(await active(unit)).toBe('inactive');
  expect(await journal()).toMatch(
    /"reason":"this node serves the namespace no more","allocations":0.*"msg":"detached"/,
  );
  expect(await node.do('ls', `${DATA}/configs`)).toBe('orama-gateway\norama-turn\n');
  expect(await node.do('ls', TENANTS)).toBe('');
});
