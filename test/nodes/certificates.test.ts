import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { WebrtcStatus } from '@orama/protocol';
import { AcmeAuthority, REPOSITORY, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { publicIpOf, WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { DATA } from './bed/root.ts';

const BASE = 'orama.test';
const HOST = `ns-demo.${BASE}`;
const TURN_NAME = `turn.${HOST}`;
const CADDY = 'caddy.service';
/** Where the authority is: the client's address. */
const CLIENT_IP = publicIpOf(100);
/** Caddy renews when a third of it is left. */
const VALID_SEC = 30;
const KEPT = `${DATA}/certificates/${TURN_NAME}.pem`;

let bed: Bed;
let node: SystemdNode;
let authority: AcmeAuthority;
let apiKey: string;
beforeAll(async () => {
  bed = await Bed.start();
  node = bed.node(1);
  authority = await AcmeAuthority.start({
    ...{ address: CLIENT_IP, namesLeadTo: node.publicIp, validSec: VALID_SEC },
    within: ['ip', 'netns', 'exec', bed.network.client],
  });
  node.write('/etc/orama/cluster.key', '0'.repeat(64));
  node.write(`${DATA}/store.sqlite`, '');
  node.write(
    '/etc/orama/controlplane.yaml',
    JSON.stringify({
      clusterId: 'nodes',
      node: 'node-1',
      wireguardIp: node.wireguardIp,
      publicIp: node.publicIp,
      wireguardNetwork: WIREGUARD_NETWORK,
      baseDomain: BASE,
      dataDir: DATA,
      clusterKeyFile: '/etc/orama/cluster.key',
      store: { driver: 'sqlite', file: `${DATA}/store.sqlite` },
      api: {},
      services: { manager: 'systemd' },
      gateway: { listen: { address: '127.0.0.1', port: 6080 } },
      turn: { workers: 2, drainTimeoutMs: 1_000 },
      dns: { writer: 'file', file: `${DATA}/zone` },
      certificates: { source: 'caddy' },
    }),
  );
  installCaddy();
  await node.do('systemctl', 'start', 'orama-controlplane.service');
});
afterAll(async () => {
  await authority?.close();
  await bed?.close();
});

/** As Debian's package leaves it, with our Caddyfile and the authority of the test. */
function installCaddy(): void {
  const acme = [`acme_ca ${authority.directory}`, 'acme_ca_root /etc/caddy/acme.pem', 'renew_interval 1s'];
  const caddyfile = readFileSync(join(REPOSITORY, 'deploy/Caddyfile'), 'utf8').replace(
    'email you@example.com',
    (email) => [email, ...acme].join('\n\t'),
  );
  mkdirSync(join(node.root, 'etc/caddy'), { recursive: true });
  for (const [file, content] of [
    ['acme.pem', readFileSync(authority.caFile, 'utf8')],
    ['Caddyfile', caddyfile],
  ] as const)
    node.write(`/etc/caddy/${file}`, content);
  const [uid, gid] = /^caddy:x:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.slice(1).map(Number) ?? [];
  if (uid === undefined || gid === undefined) throw new Error('there is no user caddy: apt-get install caddy');
  const home = join(node.root, 'var/lib/caddy');
  mkdirSync(home, { mode: 0o700 });
  for (const path of [home, ...['acme.pem', 'Caddyfile'].map((file) => join(node.root, 'etc/caddy', file))])
    chownSync(path, uid, gid);
}

const orama = (...args: string[]) =>
  node.do(
    ...['/opt/orama/bin/node', '/opt/orama/cmd/orama/dist/main.js', '--api', 'http://127.0.0.1:6001'],
    ...['--cluster-key-file', '/etc/orama/cluster.key', ...args],
  );
const status = async () =>
  JSON.parse(await orama('namespace', 'webrtc-status', '--namespace', 'demo', '--json')) as WebrtcStatus;
const caddyConfig = (path: string) => node.do('curl', '-s', `http://127.0.0.1:2019/config/${path}`);

interface Shown {
  issuer: string;
  fingerprint: string;
}
/** The certificate that a TLS client sees. */
async function shownAt(port: number, name: string): Promise<Shown> {
  const look = `openssl s_client -connect ${node.publicIp}:${port} -servername ${name} </dev/null 2>/dev/null |
    openssl x509 -noout -issuer -fingerprint -sha256`;
  const { stdout } = await bed.fromClient('sh', '-c', look);
  const [issuer = '', fingerprint = ''] = stdout.split('\n');
  return { issuer, fingerprint };
}
const untilIssued = (port: number, name: string, by: string) =>
  waitUntil(
    `a certificate of ${name} by ${by}`,
    () => shownAt(port, name),
    ({ issuer }) => issuer.includes(by),
    { timeoutMs: 20_000 },
  );

/** Relays packets over TURN/TLS until told to end; how many it sent and which came back. */
async function startRelay(): Promise<{ end: () => Promise<{ sent: number; received: number }> }> {
  const answer = await node.do(
    ...['curl', '-s', '-X', 'POST', '-H', `x-api-key: ${apiKey}`, '-H', `host: ${HOST}`],
    'http://127.0.0.1:6080/v1/webrtc/turn/credentials',
  );
  const { username, password } = JSON.parse(answer) as { username: string; password: string };
  const client = join(REPOSITORY, 'test/nodes/relay-client.ts');
  const relay: ChildProcess = spawn(
    'ip',
    [
      ...['netns', 'exec', bed.network.client, process.execPath, '--conditions=source', client],
      ...[node.publicIp, '5349', TURN_NAME, username, password],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], cwd: REPOSITORY },
  );
  if (!relay.stdin || !relay.stdout) throw new Error('the relay has no input');
  await once(relay.stdout, 'data');
  const output = text(relay.stdout);
  return {
    end: async () => {
      relay.stdin?.end();
      return JSON.parse(await output) as { sent: number; received: number };
    },
  };
}

test('without a Caddy a namespace has a self-signed certificate at once, and its status says why', async () => {
  apiKey = (JSON.parse(await orama('namespace', 'create', 'demo', '--json')) as { apiKey: string }).apiKey;
  await orama('namespace', 'enable', 'webrtc', '--namespace', 'demo', '--sfu-nodes', '1', '--turn-nodes', '1');
  expect((await shownAt(5349, TURN_NAME)).issuer).toContain('Orama TURN self-signed');
  await expect
    .poll(async () => (await status()).problems)
    .toEqual([
      expect.stringContaining('the certificate on node-1 is not right: no Caddy answers at http://127.0.0.1:2019'),
    ]);
});

test('a Caddy that comes later gets certificates for the TURN name and the gateway, from a storage that only it and root read', async () => {
  await waitUntil(
    'the authority',
    () => node.run('curl', '-sf', '--cacert', '/etc/caddy/acme.pem', authority.directory),
    ({ code }) => code === 0,
  );
  await node.do('systemctl', 'start', CADDY);
  await untilIssued(5349, TURN_NAME, 'Pebble');
  await untilIssued(443, HOST, 'Pebble');
  await expect.poll(async () => (await status()).problems).toEqual([]);
  const { stdout } = await bed.fromClient(
    ...['curl', '-sk', '--resolve', `${HOST}:443:${node.publicIp}`, '-H', `x-api-key: ${apiKey}`],
    `https://${HOST}/v1/webrtc/rooms`,
  );
  expect(JSON.parse(stdout)).toMatchObject({ rooms: [] });
  const kept = statSync(join(node.root, KEPT));
  expect([kept.uid, kept.mode & 0o777]).toEqual([0, 0o600]);
});

test('Caddy renews a certificate, new TLS clients see it, and a relay over TLS loses no packet', async () => {
  const relay = await startRelay();
  const before = await shownAt(5349, TURN_NAME);
  await waitUntil(
    'another certificate',
    () => shownAt(5349, TURN_NAME),
    ({ issuer, fingerprint }) => issuer.includes('Pebble') && fingerprint !== before.fingerprint,
  );
  const { sent, received } = await relay.end();
  expect(sent).toBeGreaterThan(100);
  expect(received).toBe(sent);
});

test('without Caddy and after a restart of TURN the last good certificate is there', async () => {
  await node.do('systemctl', 'stop', CADDY);
  const last = await shownAt(5349, TURN_NAME);
  await node.do('systemctl', 'restart', 'orama-turn.service');
  await expect.poll(() => shownAt(5349, TURN_NAME)).toEqual(last);
  expect(last.issuer).toContain('Pebble');
});

test('a Caddy that starts anew or is reloaded has the names again; disable takes them out and leaves nothing', async () => {
  await node.do('systemctl', 'start', CADDY);
  await expect.poll(() => caddyConfig('apps/tls/certificates')).toContain(TURN_NAME);
  await node.do('systemctl', 'reload', CADDY);
  await expect.poll(() => caddyConfig('apps/tls/certificates')).toContain(TURN_NAME);
  await orama('namespace', 'disable', 'webrtc', '--namespace', 'demo');
  expect(await node.do('ls', `${DATA}/certificates`)).toBe('');
  await expect.poll(() => caddyConfig('apps/tls/certificates')).not.toContain(HOST);
  const { automation } = JSON.parse(await caddyConfig('apps/tls')) as { automation: { policies: object[] } };
  expect(automation.policies).toHaveLength(1);
});
