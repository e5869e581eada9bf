import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, type NodeTurn, type TurnCredentials, type Usage } from '@orama/protocol';
import { LocalCluster, type NamespaceAccess, TurnClient, UNITS, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** The commands about TURN servers, against a cluster and against coturn. */
let cluster: LocalCluster;
let access: NamespaceAccess;
const NAME = 'relayed';
const NS = ['--namespace', NAME];

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 97 });
  access = await cluster.createEnabled(NAME);
});
afterAll(() => cluster?.stop());

interface Checked {
  checks: {
    uri: string;
    connect?: { ms: number };
    tls?: { certificate: { names: string[] }; distrust: string | null };
    binding?: { mapped: string };
    allocate?: { relayed: string; mapped: string; lifetimeSec: number };
    relay?: { sent: number; received: number; minMs: number; medianMs: number; maxMs: number };
    failed?: { step: string };
  }[];
}
const publicIp = (node: number) => cluster.node(node).publicIp;
const credentials = async () =>
  (await cluster.gateway(access, 'POST', '/v1/webrtc/turn/credentials')).body as TurnCredentials;
const urisOf = (node: number) => ['udp', 'tcp'].map((each) => `turn:${publicIp(node)}:3478?transport=${each}`);
const usage = (name: string) => cluster.json<Usage>('namespace', 'usage', name);
/** A URI of each TURN server of a namespace. */
const serversOf = async (name: string) =>
  (await cluster.status(name)).services.flatMap(({ service, address }) =>
    service === 'turn' ? [`turn:${address}`] : [],
  );
const turnOf = async (node: number) =>
  (await cluster.json<{ nodes: NodeTurn[] }>('turn', 'status', '--node', cluster.node(node).id)).nodes[0];

/** An allocation of a client that stays until it is closed. */
async function allocate(node: number): Promise<TurnClient> {
  const { username, password } = await credentials();
  const server = { address: publicIp(node), port: 3478 };
  const client = await TurnClient.open({ transport: 'udp', server, username, password });
  await client.allocate();
  return client;
}

describe('orama turn check', () => {
  test('--namespace allocates on every server of the namespace and relays packets to itself', async () => {
    const { checks } = await cluster.json<Checked>('turn', 'check', ...NS, '--insecure');
    expect(checks.map(({ uri }) => uri).sort()).toEqual([...(await credentials()).uris].sort());
    for (const { uri, allocate, relay } of checks) {
      expect(relay, uri).toMatchObject({ sent: 10, received: 10 });
      expect(relay?.minMs).toBeLessThanOrEqual(relay?.medianMs ?? 0);
      expect(relay?.medianMs).toBeLessThanOrEqual(relay?.maxMs ?? 0);
      expect(allocate?.relayed, 'a relay address is on the WireGuard address').toContain(`${cluster.prefix}.0.`);
      expect(allocate?.lifetimeSec).toBe(600);
    }
  });

  test('gives back what it allocated', async () => {
    expect((await turnOf(1))?.server?.allocations).toBe(0);
  });

  test('shows the certificate of a TLS server, refuses one nobody vouches for, and goes on with --insecure', async () => {
    const uri = `turns:${publicIp(1)}:5349`;
    const refused = await cluster.run('turn', 'check', uri, ...NS);
    expect(refused.code).toBe(EXIT.refused);
    expect(refused.stderr).toMatch(/self-signed.*\nnext: .*--insecure/);
    const [checked] = (await cluster.json<Checked>('turn', 'check', uri, ...NS, '--insecure')).checks;
    expect(checked?.tls?.certificate.names).toContain(`IP Address:${publicIp(1)}`);
    expect(checked?.tls?.distrust).toBe('it is self-signed');
    expect(checked?.relay?.received).toBe(10);
  });

  test('of a stun: URI says which address the server sees, without credentials', async () => {
    const [checked] = (await cluster.json<Checked>('turn', 'check', `stun:${publicIp(1)}`)).checks;
    expect(checked?.binding?.mapped).toMatch(/^127\..*:\d+$/);
  });

  test('prints one step a line for people', async () => {
    const { stdout } = await cluster.orama('turn', 'check', `turn:${publicIp(1)}?transport=tcp`, ...NS);
    for (const step of ['resolve', 'connect', 'allocate', 'bind', 'relay'])
      expect(stdout).toMatch(new RegExp(`^${step} +`, 'm'));
    expect(stdout).toMatch(/10 of 10 packets.*\n +round trip min [\d.]+, median [\d.]+, max [\d.]+ ms/);
  });

  test.concurrent.each([
    [['nonsense'], EXIT.usage, 'such as turn:'],
    [['turns:host?transport=udp'], EXIT.usage, 'DTLS'],
    [[], EXIT.usage, 'no server was named'],
    [['turn:127.97.1.1'], EXIT.usage, 'wants credentials'],
    [['turn:127.97.1.1', '--username', 'x'], EXIT.usage, '--password is missing'],
    [['turn:127.97.1.1', '--username', '', '--password', 'x'], EXIT.usage, '--username is empty'],
    [['turn:127.97.1.1', '--username', 'x', '--password', 'y', ...NS], EXIT.usage, 'leave out --username'],
    [['turn:127.97.1.1', '--namespace', 'nobody'], EXIT.notFound, 'nobody'],
    [['turn:nowhere.invalid', ...NS], EXIT.unreachable, 'cannot be resolved'],
    [['turn:127.97.1.200?transport=tcp', ...NS], EXIT.unreachable, 'tcp port 3478'],
    [['turn:127.97.1.200', ...NS, '--timeout', '1'], EXIT.unreachable, 'transport=tcp'],
  ])('%j ends with %i and the next step', async (args, exitCode, says) => {
    const { code, stdout, stderr } = await cluster.run('turn', 'check', ...args);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
    expect(stderr).toContain(says);
    expect(stderr).toMatch(/^next: /m);
  });

  test.concurrent.each([
    [1, ['--username', '1:relayed', '--password', 'x'], 'expired at 1970-01-01T00:00:01.000Z; "--namespace relayed"'],
    [1, ['--username', '9999999999:relayed', '--password', 'x'], 'the password is wrong, or this server does not'],
    [1, ['--username', 'anna', '--password', 'x'], 'usernames <Unix seconds>:<namespace> only'],
    [3, NS, 'this server does not serve namespace relayed'],
  ])('says of node %i, which refuses %j, what it can know', async (node, login, says) => {
    const { code, stderr } = await cluster.run('turn', 'check', `turn:${publicIp(node)}`, ...login);
    expect(code).toBe(EXIT.refused);
    expect(stderr).toMatch(/^error UNAUTHORIZED: .*401.*\nnext: /m);
    expect(stderr).toContain(says);
  });

  test('explains a full namespace', async () => {
    const uri = `turn:${publicIp(1)}`;
    await cluster.orama('namespace', 'set', 'webrtc', ...NS, '--max-allocations', '1');
    const held = await allocate(1);
    const full = await cluster.run('turn', 'check', uri, ...NS, '--json');
    expect(full.code).toBe(EXIT.failed);
    expect(JSON.parse(full.stdout)).toMatchObject({
      error: {
        code: 'RATE_LIMITED',
        message: expect.stringContaining('486'),
        details: { checks: [{ uri, failed: { step: 'allocate' } }] },
      },
    });
    await held.refresh(0);
    await held.close();
    await cluster.orama('namespace', 'set', 'webrtc', ...NS, '--max-allocations', 'default');
    expect(await cluster.status(NAME)).toMatchObject({
      turn: { maxAllocations: 800, maxAllocationsPerUsername: 400 },
    });
  });

  test('says of coturn that it refuses an allocation its own address, and passes with --no-relay', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'orama-coturn-'));
    const address = `${cluster.prefix}.2.1`;
    const options = [
      '--lt-cred-mech',
      '--user=anna:secret',
      '--realm=coturn.test',
      '--no-tls',
      '--no-dtls',
      '--no-cli',
    ];
    const files = ['--log-file=stdout', `--userdb=${dir}/turn.db`, `--pidfile=${dir}/turn.pid`];
    const coturn = spawn('turnserver', ['-n', '-L', address, '-E', address, ...options, ...files], { stdio: 'ignore' });
    const uri = `turn:${address}?transport=tcp`;
    const login = ['--username', 'anna', '--password', 'secret'];
    try {
      await waitUntil(
        'coturn to serve',
        () => cluster.run('turn', 'check', uri, ...login, '--no-relay'),
        ({ code }) => code === EXIT.done,
      );
      const { code, stderr } = await cluster.run('turn', 'check', uri, ...login);
      expect(code).toBe(EXIT.refused);
      expect(stderr).toMatch(/allocation .* was made, but .*own relayed address.*403/);
      expect(stderr).toContain('--no-relay');
    } finally {
      coturn.kill();
      if (coturn.exitCode === null) await once(coturn, 'exit');
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('orama namespace usage', () => {
  test('shows what checks relayed, to the byte and over both nodes, as the owner sees it', async () => {
    const name = 'counted';
    const owner = await cluster.createEnabled(name);
    const [one = '', other = ''] = await serversOf(name);
    await cluster.orama('turn', 'check', one, '--namespace', name, '--packets', '7');
    await cluster.orama('turn', 'check', other, '--namespace', name, '--packets', '3');
    const seen = await waitUntil(
      'the packets to be counted',
      () => usage(name),
      ({ total }) => total.relayed_packets_in === 10 && total.relayed_packets_out === 10,
    );
    expect(seen.total).toMatchObject({ relayed_bytes_in: 10_000, relayed_bytes_out: 10_000, allocations: 2 });
    const { status, body } = await cluster.gateway(owner, 'GET', '/v1/webrtc/usage');
    expect({ status, total: (body as Usage).total }).toEqual({ status: 200, total: seen.total });
    expect((await cluster.orama('namespace', 'usage', name)).stdout).toContain('10.0 kB');
  });

  test('--from and --to are checked, and named when they cannot be used', async () => {
    const bad = await cluster.run('namespace', 'usage', NAME, '--from', 'yesterday');
    expect(bad.code).toBe(EXIT.usage);
    expect(bad.stderr).toContain('--from');
    const late = await cluster.run('namespace', 'usage', NAME, '--from', '2126-01-01T00:00:00Z');
    expect(late.code).toBe(EXIT.usage);
    expect(late.stderr).toContain('from must be before');
    expect((await cluster.run('namespace', 'usage', 'nobody')).code).toBe(EXIT.notFound);
  });

  test('the last bytes of a namespace that is disabled right after are counted', async () => {
    const name = 'short-lived';
    await cluster.createEnabled(name);
    const [server = ''] = await serversOf(name);
    await cluster.orama('turn', 'check', server, '--namespace', name);
    await cluster.orama('namespace', 'disable', 'webrtc', '--namespace', name);
    await waitUntil(
      'its packets to be counted',
      () => usage(name),
      ({ total }) => total.relayed_bytes_in === 10_000 && total.relayed_bytes_out === 10_000,
    );
    await cluster.orama('namespace', 'delete', name);
  });
});

describe('orama namespace set webrtc', () => {
  test('changes the peer policy of calls that go on: relay addresses move, SFUs stay', async () => {
    const sfu = cluster.pidOf(1, UNITS.sfu(NAME));
    await cluster.orama('namespace', 'set', 'webrtc', ...NS, '--peer-policy', 'public', '--bytes-per-sec', '5000000');
    expect(await cluster.status(NAME)).toMatchObject({ turn: { peerPolicy: 'public', bytesPerSec: 5_000_000 } });
    const [checked] = (await cluster.json<Checked>('turn', 'check', `turn:${publicIp(1)}`, ...NS)).checks;
    expect(checked?.allocate?.relayed).toContain(`${publicIp(1)}:`);
    expect(checked?.relay?.received).toBe(10);
    await cluster.orama('namespace', 'set', 'webrtc', ...NS, '--peer-policy', 'sfu', '--bytes-per-sec', 'none');
    expect(await cluster.waitHealthy(NAME)).toMatchObject({ turn: { peerPolicy: 'sfu', bytesPerSec: null } });
    expect(cluster.pidOf(1, UNITS.sfu(NAME))).toBe(sfu);
  });

  test('enabling with other settings than those in force is a conflict', async () => {
    const run = await cluster.run('namespace', 'enable', 'webrtc', ...NS, '--peer-policy', 'public');
    expect(run.code).toBe(EXIT.conflict);
    expect(run.stderr).toMatch(/peerPolicy is sfu, not public.*\nnext: .*orama namespace set webrtc/);
  });

  test.concurrent.each([
    [[], 'no setting was given'],
    [['--peer-policy', 'all'], '--peer-policy'],
    [['--max-allocations', '0'], '65535, or default'],
    [['--max-allocations-per-username', '801'], 'maxAllocationsPerUsername is 801'],
    [['--max-allocations', '801'], '800 relay ports'],
    [['--bytes-per-sec', '9'], '--bytes-per-sec'],
    [['--allocation-bytes-per-sec', 'much'], '--allocation-bytes-per-sec'],
  ])('%j is refused and nothing is changed', async (options, says) => {
    const before = await cluster.status(NAME);
    const { code, stderr } = await cluster.run('namespace', 'set', 'webrtc', ...NS, ...options);
    expect({ options, code }).toEqual({ options, code: EXIT.usage });
    expect(stderr).toContain(says);
    expect((await cluster.status(NAME)).generation).toBe(before.generation);
  });
});

describe('orama turn explain-peer', () => {
  const explain = async (...args: string[]) => {
    const { nodes } = await cluster.json<{ nodes: { node: string; allowed: boolean; rule: string }[] }>(
      ...['turn', 'explain-peer', NAME, ...args],
    );
    return nodes.map(({ node, allowed, rule }) => `${node} ${allowed ? 'allows' : 'refuses'} by ${rule}`);
  };

  test('names the rule of every TURN server of the namespace', async () => {
    const sfuIp = cluster.node(3).wireguardIp;
    expect(await explain(sfuIp, '--port', '20000')).toEqual(['node-1 allows by peers', 'node-2 allows by peers']);
    expect(await explain(sfuIp, '--port', '6001', '--node', 'node-2')).toEqual(['node-2 refuses by peer-port']);
    expect(await explain('8.8.8.8')).toEqual(['node-1 refuses by not-a-peer', 'node-2 refuses by not-a-peer']);
    expect(await explain('169.254.169.254', '--node', 'node-1')).toEqual(['node-1 refuses by metadata']);
    expect(await explain('127.9.9.9', '--node', 'node-1')).toEqual(['node-1 refuses by loopback']);
    expect(await explain('fe80::1', '--node', 'node-1')).toEqual(['node-1 refuses by link-local']);
    const { stdout } = await cluster.orama('turn', 'explain-peer', NAME, '8.8.8.8');
    expect(stdout).toMatch(/^node-1 +refused +none +not-a-peer +.*the peer policy is sfu/m);
    const sfu = await cluster.orama('turn', 'explain-peer', NAME, sfuIp);
    expect(sfu.stdout).toMatch(/^node-1 +allowed +20000-20499 +peers /m);
  });

  test.concurrent.each([
    [[NAME, 'nonsense'], EXIT.usage, 'use an IPv4 or IPv6 address'],
    [[NAME, '8.8.8.8:3478'], EXIT.usage, 'without brackets and port'],
    [[NAME, '8.8.8.8', '--port', '0'], EXIT.usage, '--port'],
    [['nobody', '8.8.8.8'], EXIT.notFound, 'nobody'],
    [[NAME, '8.8.8.8', '--node', 'node-3'], EXIT.notFound, 'node-1, node-2'],
  ])('%j ends with %i', async (args, exitCode, says) => {
    const { code, stderr } = await cluster.run('turn', 'explain-peer', ...args);
    expect({ args, code }).toEqual({ args, code: exitCode });
    expect(stderr).toContain(says);
  });
});

describe('orama turn drain', () => {
  test('empties a server, shows what is left, leads clients elsewhere and keeps it down until resume', async () => {
    const held = await allocate(1);
    const drain = cluster.spawn('turn', 'drain', '--node', 'node-1', '--deadline', '30');
    expect(await drain.printed(/1 allocation left, ended at 20/)).toBe(true);
    const draining = await waitUntil(
      'the namespace to lead elsewhere',
      () => cluster.status(NAME),
      ({ dns }) => dns.every(({ value }) => value !== publicIp(1)),
    );
    expect(draining.problems.join()).toMatch(/turn on node-1 is not healthy: .*drain/);
    await held.refresh(0);
    await held.close();
    expect(await drain.finished).toMatchObject({
      code: EXIT.done,
      stdout: expect.stringContaining('1 allocation ended by itself, 0 cut at the deadline'),
    });
    expect(await turnOf(1)).toMatchObject({ server: null, held: true });
    expect((await cluster.orama('turn', 'status')).stdout).toContain('orama turn resume --node node-1');
    const explained = await cluster.orama('turn', 'explain-peer', NAME, '8.8.8.8');
    expect(explained.stdout).toMatch(
      /^node-1 +not reached .*no TURN server runs.*\nnode-2 +refused +none +not-a-peer /m,
    );
    const again = await cluster.run('turn', 'drain', '--node', 'node-1');
    expect(again.code).toBe(EXIT.done);
    const why = 'node-1 serves no TURN now: drained; it serves again with "orama turn resume --node node-1"';
    const { checks } = await cluster.json<Checked>('turn', 'check', ...NS);
    expect(checks.map(({ uri }) => uri)).toEqual(urisOf(2));
    expect((await cluster.run('turn', 'check', ...NS)).stderr).toContain(`not checked: ${why}\n`);
    for (const [uri, says] of [
      [`turn:${publicIp(1)}`, 'no answer from'],
      [`turn:${publicIp(1)}?transport=tcp`, 'no TCP connection to'],
    ] as const) {
      const down = await cluster.run('turn', 'check', uri, ...NS, '--timeout', '1');
      expect(down.code).toBe(EXIT.unreachable);
      expect(down.stderr).toContain(`${says} ${publicIp(1)} port 3478`);
      expect(down.stderr).toContain(`\nnext: ${why}\n`);
    }
    const resumed = await cluster.run('turn', 'resume', '--node', 'node-1');
    expect(resumed).toMatchObject({ code: EXIT.done, stdout: 'the TURN server of node-1 serves\n' });
    expect(resumed.stderr).toContain('waiting for the server to start');
    const served = await cluster.run('turn', 'check', `turn:${publicIp(1)}`, ...NS);
    expect(served.code, 'it serves as soon as resume says so').toBe(EXIT.done);
  });

  test('--restart puts another server in its place, and the deadline ends what is left', async () => {
    const former = cluster.pidOf(2, UNITS.turn);
    const held = await allocate(2);
    const args = ['turn', 'drain', '--node', 'node-2', '--deadline', '1', '--restart', '--json'];
    const { code, stdout } = await cluster.run(...args);
    expect(code).toBe(EXIT.done);
    expect(JSON.parse(stdout)).toMatchObject({
      outcome: 'drained',
      message: expect.stringContaining('another one serves'),
      endedThemselves: 0,
      cut: 1,
      turn: { server: { draining: false, certificates: [{ notAfter: expect.stringMatching(/^20.*Z$/) }] } },
    });
    expect(cluster.pidOf(2, UNITS.turn)).not.toBe(former);
    await held.close();
    await cluster.waitHealthy(NAME);
  });

  test('names a node that does not exist, and its missing option', async () => {
    const unknown = await cluster.run('turn', 'drain', '--node', 'node-9');
    expect(unknown.code).toBe(EXIT.notFound);
    expect(unknown.stderr).toContain('node-1, node-2, node-3');
    const missing = await cluster.run('turn', 'drain');
    expect(missing.code).toBe(EXIT.usage);
    expect(missing.stderr).toContain('--node');
  });
});
