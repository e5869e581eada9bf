import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, type Operation } from '@orama/protocol';
import { CertificateAuthority, CliProcess, LocalCluster } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** An operator at another machine: tokens, environments, and every command through a gateway over HTTPS. */
let cluster: LocalCluster;
let home: string;
let authority: CertificateAuthority;
let front: Server;
let url: string;
let file: string;

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 84 });
  home = mkdtempSync(join(tmpdir(), 'orama-environments-'));
  file = join(home, 'orama', 'environments.yaml');
  authority = new CertificateAuthority();
  writeFileSync(join(home, 'ca.pem'), authority.certificate);
  front = createServer(authority.issue('localhost'), (incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming;
    const onward = request(new URL(path, cluster.node(2).gateway), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  url = `https://localhost:${(front.address() as AddressInfo).port}`;
});
afterAll(async () => {
  front?.close();
  authority?.close();
  rmSync(home, { recursive: true, force: true });
  await cluster?.stop();
});

/** A command on the operator's machine, which knows nothing of the cluster but its environments. */
const away = (...args: string[]) =>
  new CliProcess(args, { ...process.env, XDG_CONFIG_HOME: home, XDG_STATE_HOME: join(home, 'state') }).finished;

/** A token made on a node, in a file. */
async function tokenFile(name: string, ...options: string[]): Promise<string> {
  const { token } = await cluster.json<{ token: string }>('token', 'create', name, ...options);
  const path = join(home, `${name}.token`);
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  return path;
}

test('a token and the authority of the gateway make every command work from outside, watching included', async () => {
  const added = await away('env', 'add', 'devnet', '--url', url, '--token-file', await tokenFile('anna'));
  expect(added.output).toContain('orama --env devnet');
  expect(statSync(file).mode & 0o777).toBe(0o600);

  const untrusted = await away('node', 'list', '--env', 'devnet');
  expect(untrusted.code).toBe(EXIT.unreachable);
  expect(untrusted.stderr).toMatch(/authority.*caFile/s);

  const withCa = ['--url', url, '--token-file', join(home, 'anna.token'), '--ca-file', join(home, 'ca.pem')];
  expect((await away('env', 'add', 'devnet', ...withCa)).code).toBe(EXIT.conflict);
  expect((await away('env', 'add', 'devnet', ...withCa, '--force')).code).toBe(EXIT.done);

  for (const args of [
    ['namespace', 'create', 'gone'],
    ['namespace', 'delete', 'gone'],
    ['namespace', 'create', 'away'],
    ['namespace', 'enable', 'webrtc', '--namespace', 'away'],
  ]) {
    expect(await away('--env', 'devnet', ...args)).toMatchObject({ code: EXIT.done });
  }
  for (const args of [
    ['node', 'list'],
    ['turn', 'status'],
    ['leases'],
    ['monitor', 'report'],
    ['reconcile', '--dry-run'],
    ['turn', 'explain-peer', 'away', '192.0.2.1'],
    ['namespace', 'webrtc-status', '--namespace', 'away'],
    ['namespace', 'usage', 'away'],
    ['turn', 'check', '--namespace', 'away', '--insecure'],
  ]) {
    const result = await away('--env', 'devnet', ...args);
    expect(result.output, args.join(' ')).not.toContain('error');
    expect(result.code, args.join(' ')).toBe(EXIT.done);
  }
  const drained = await away('--env', 'devnet', 'turn', 'drain', '--node', 'node-1', '--restart');
  expect(drained.code, drained.output).toBe(EXIT.done);

  const { operations } = await cluster.json<{ operations: Operation[] }>('operations', 'list');
  expect(operations[0]).toMatchObject({ kind: 'enable-webrtc', requestedBy: 'token:anna', state: 'done' });
});

test('a viewer reads and changes nothing; no token makes another one', async () => {
  await tokenFile('eve', '--scope', 'viewer', '--valid-for', '1h');
  const ca = ['--ca-file', join(home, 'ca.pem')];
  await away('env', 'add', 'looking', '--url', url, '--token-file', join(home, 'eve.token'), ...ca);
  expect((await away('--env', 'looking', 'namespace', 'list')).code).toBe(EXIT.done);
  const refused = await away('--env', 'looking', 'namespace', 'create', 'mine');
  expect(refused).toMatchObject({ code: EXIT.refused, stderr: expect.stringContaining('may only read') });
  const token = await away('--env', 'devnet', 'token', 'create', 'second');
  expect(token).toMatchObject({ code: EXIT.refused, stderr: expect.stringContaining('on a node') });
  expect((await away('--env', 'devnet', 'token', 'list')).stdout).toMatch(/anna.*eve/s);
});

test('a token that is revoked is refused by the next call, on every node', async () => {
  expect((await cluster.run('token', 'revoke', 'eve')).code).toBe(EXIT.done);
  const refused = await away('--env', 'looking', 'node', 'list');
  expect(refused).toMatchObject({
    code: EXIT.refused,
    stderr: expect.stringMatching(/UNAUTHORIZED.*orama token create/s),
  });
  const again = await cluster.run('token', 'revoke', 'eve');
  expect(again).toMatchObject({ code: EXIT.notFound, stderr: expect.stringContaining('token list') });
});

test('an environment that there is none of is told with those that there are', async () => {
  const unknown = await away('--env', 'devnett', 'node', 'list');
  expect(unknown).toMatchObject({ code: EXIT.notFound, stderr: expect.stringMatching(/local, devnet, looking/) });
  expect((await away('env', 'use', 'nothing')).code).toBe(EXIT.notFound);
});

test('env use chooses what is meant, options and variables before it, and list and remove know', async () => {
  expect((await away('env', 'use', 'devnet')).code).toBe(EXIT.done);
  expect((await away('namespace', 'list')).stdout).toContain('away');
  expect((await away('namespace', 'list', '--data-dir', join(home, 'nowhere'))).code).toBe(EXIT.unreachable);
  expect((await away('namespace', 'list', '--env', 'local')).code).toBe(EXIT.unreachable);
  const twice = await away('namespace', 'list', '--env', 'devnet', '--data-dir', home);
  expect(twice).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining('twice') });
  const here = ['--api', cluster.node(1).api, '--cluster-key-file', `${cluster.dataDir}/cluster.key`];
  expect((await away('env', 'add', 'here', ...here)).code).toBe(EXIT.done);
  expect((await away('--env', 'here', 'node', 'list')).stdout).toContain('node-3');
  expect(JSON.parse((await away('env', 'list', '--json')).stdout)).toMatchObject({
    environments: [
      { name: 'local', current: false },
      { name: 'devnet', current: true, access: 'token', endpoints: [url] },
      { name: 'looking' },
      { name: 'here', access: 'cluster-key' },
    ],
  });
  expect((await away('env', 'remove', 'devnet')).code).toBe(EXIT.done);
  expect((await away('namespace', 'list')).code).toBe(EXIT.unreachable);
});

test('a file that others can read, or that makes no sense, is refused with what is wrong in it', async () => {
  chmodSync(file, 0o644);
  const open = await away('--env', 'looking', 'node', 'list');
  expect(open).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining(`chmod 600 ${file}`) });
  const bad = {
    'environments: {a: {url: "http://example.org", tokenFile: t}}': 'http is for loopback only',
    'environments: {a: {url: "https://example.org"}}': 'token or tokenFile',
    'environments: {a: {api: ["http://10.0.0.1:6001"]}}': 'clusterKeyFile',
    'environments: {local: {url: "https://example.org", tokenFile: t}}': 'another name',
    'environments: [': 'not YAML',
    '- 1': 'expected object',
  };
  for (const [text, says] of Object.entries(bad)) {
    writeFileSync(file, text);
    const { code, stderr } = await away('--env', 'a', 'node', 'list');
    expect({ text, code }).toEqual({ text, code: EXIT.usage });
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/\n\s+at /);
  }
});
