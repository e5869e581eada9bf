import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AcmeAuthority, CallPage, launchChromium, REPOSITORY, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { Knot } from './bed/knot.ts';
import { publicIpOf } from './bed/network.ts';
import { HOST, OramaNode, TURN_NAME } from './bed/orama.ts';

// A client that is let out to nothing but 443/tcp; a Caddy behind the TURN server, which proves names by DNS-01, in the zone
// that the controlplane has its records in.
const CADDY = join(REPOSITORY, '.orama/caddy/caddy');
const CLIENT_IP = publicIpOf(100);
/** Where the authority and the DNS server are. */
const OUTSIDE_IP = publicIpOf(3);
const KEY_FILE = '/etc/orama/tsig.key';

let bed: Bed;
let here: OramaNode;
let authority: AcmeAuthority;
let knot: Knot;
beforeAll(async () => {
  // Once: it takes a minute.
  execFileSync('sh', ['deploy/dev/caddy.sh'], { cwd: REPOSITORY, stdio: ['ignore', 'ignore', 'inherit'] });
  bed = await Bed.start();
  here = new OramaNode(bed, 1);
  const within = ['ip', 'netns', 'exec', bed.network.namespaceOf(3)];
  knot = new Knot(within, OUTSIDE_IP);
  authority = await AcmeAuthority.start({
    ...{ address: OUTSIDE_IP, namesLeadTo: here.node.publicIp, dnsServer: `${OUTSIDE_IP}:53`, within },
  });
  writeFileSync(join(here.node.root, 'etc/resolv.conf'), `nameserver ${OUTSIDE_IP}\n`);
  here.writeForRoot(KEY_FILE, knot.secret);
  const withLog = (text: string) => text.replace('bind 127.0.0.1\n', '$&\tlog\n');
  here.installCaddy('Caddyfile.port443', authority, withLog, CADDY);
  await waitUntil(
    'the authority',
    () => here.node.run('curl', '-sf', '--cacert', '/etc/caddy/acme.pem', authority.directory),
    ({ code }) => code === 0,
  );
  await here.node.do('systemctl', 'start', 'caddy.service');
  await here.start({
    turn: { workers: 2, port443: true },
    gateway: { listen: { address: '127.0.0.1', port: 6080 }, callPage: true },
    certificates: { source: 'caddy' },
    dns: {
      writer: 'rfc2136',
      server: { address: OUTSIDE_IP },
      tsig: { name: knot.key, keyFile: KEY_FILE },
    },
  });
  await here.enable();
  const rules = ['oif lo accept', 'tcp dport 443 accept', 'drop'].map((rule) => `add rule inet wall out ${rule}`);
  const table = ['add table inet wall', 'add chain inet wall out { type filter hook output priority 0; }'];
  await bed.fromClient('nft', [...table, ...rules].join('; '));
}, 300_000);
afterAll(async () => {
  await authority?.close();
  await knot?.close();
  await bed?.close();
});

/** Issuer of the certificate that the client sees on port 443. */
async function issuerOf(name: string): Promise<string> {
  const look = `openssl s_client -connect ${here.node.publicIp}:443 -servername ${name} </dev/null 2>/dev/null`;
  return (await bed.fromClient('sh', '-c', `${look} | openssl x509 -noout -issuer`)).stdout;
}

test('names are proved by DNS-01 where Caddy has the provider of our DNS writer', async () => {
  for (const name of [TURN_NAME, HOST]) await expect.poll(() => issuerOf(name)).toContain('Pebble');
  const policy = JSON.parse(await here.caddyConfig('apps/tls/automation/policies/0')) as object;
  expect(policy).toMatchObject({ issuers: [{ challenges: { dns: { provider: { name: 'rfc2136' } } } }] });
  const log = await here.node.do('journalctl', '--no-pager', '-u', 'caddy.service');
  expect(log).toContain('"challenge_type":"dns-01"');
  expect(log).not.toContain('"challenge_type":"http-01"');
});

test('orama turn check goes the whole way with each URI, the one of port 443 too', async () => {
  const check = ['turn', 'check', '--namespace', 'demo', '--insecure', '--json'];
  const { checks } = JSON.parse(await here.orama(...check)) as { checks: { uri: string; relay: object }[] };
  expect(checks.map(({ uri }) => uri)).toEqual((await here.credentials()).uris);
  for (const { relay } of checks) expect(relay).toMatchObject({ sent: 10, received: 10 });
});

test('a client that is let out to 443/tcp alone relays over TURN there', async () => {
  const reaches = async (port: number) =>
    (await bed.fromClient('timeout', '2', 'bash', '-c', `</dev/tcp/${here.node.publicIp}/${port}`)).code === 0;
  expect([await reaches(3478), await reaches(5349), await reaches(80)]).toEqual([false, false, false]);
  expect(await reaches(443)).toBe(true);
  expect((await here.credentials()).uris.at(-1)).toBe(`turns:${TURN_NAME}:443?transport=tcp`);
  const relay = await here.startRelay(443, authority);
  const { sent, received } = await relay.end();
  expect(sent).toBeGreaterThan(40);
  expect(received).toBe(sent);
});

test('the same client gets to the gateway through Caddy, which sees the client’s address', async () => {
  const { stdout } = await bed.fromClient(
    ...['curl', '-sk', '--resolve', `${HOST}:443:${here.node.publicIp}`, '-H', `x-api-key: ${here.apiKey}`],
    `https://${HOST}/v1/webrtc/rooms`,
  );
  expect(JSON.parse(stdout)).toMatchObject({ rooms: [] });
  const log = () => here.node.do('journalctl', '--no-pager', '-u', 'caddy.service', '--grep=/v1/webrtc/rooms');
  await expect.poll(log).toContain(`"remote_ip":"${CLIENT_IP}"`);
});

test('the doctor’s call goes from there over TURN on port 443, for who knows a gateway and a key alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'orama-office-'));
  writeFileSync(join(folder, 'root.pem'), authority.root());
  writeFileSync(join(folder, 'key'), here.apiKey, { mode: 0o600 });
  writeFileSync(join(folder, 'hosts'), `${here.node.publicIp} ${HOST} ${TURN_NAME}\n`);
  const doctor = `${process.execPath} ${REPOSITORY}/cmd/orama/dist/main.js doctor --json --data-dir ${folder}/none`;
  const within = `mount --bind ${folder}/hosts /etc/hosts && export NODE_EXTRA_CA_CERTS=${folder}/root.pem`;
  try {
    const run = `${within} && exec ${doctor} --gateway https://${HOST} --api-key-file ${folder}/key`;
    const { stdout } = await bed.fromClient('sh', '-c', run);
    const { lines } = JSON.parse(stdout) as { lines: { id: string; state: string; seen: string }[] };
    const states = lines.map(({ id, state, seen }) => [id, id === 'call' && state === 'failed' ? seen : state]);
    expect(Object.fromEntries(states)).toMatchObject({ call: 'passed', cluster: 'failed', 'relay-policy': 'skipped' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('browsers there hold a call, of which everything goes through port 443', async () => {
  const hosts = { [HOST]: here.node.publicIp, [TURN_NAME]: here.node.publicIp };
  const chromium = await launchChromium({ authority: authority.root(), hosts, within: bed.asClient });
  try {
    const callUrl = ({ room, name }: { room: string; name: string }) =>
      `https://${HOST}/call/#${new URLSearchParams({ room, name, api_key: here.apiKey })}`;
    const names = ['ann', 'bob'];
    const pages = await Promise.all(
      names.map((name) => CallPage.join(chromium, { callUrl }, { room: 'office', name })),
    );
    for (const { stats } of await Promise.all(pages.map((page) => page.waitMedia(1))))
      expect(stats.local).toMatchObject({ type: 'relay', relayProtocol: 'tls' });
  } finally {
    await chromium.close();
  }
});
