import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { WebrtcStatus } from '@orama/protocol';
import { AcmeAuthority, waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { publicIpOf } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { HOST, OramaNode, PROGRAM, TURN_NAME } from './bed/orama.ts';
import { DATA } from './bed/root.ts';

const CADDY = 'caddy.service';
/** Caddy renews when a third of it is left. */
const VALID_SEC = 30;
const KEPT = `${DATA}/certificates/${TURN_NAME}.pem`;

let bed: Bed;
let here: OramaNode;
let node: SystemdNode;
let authority: AcmeAuthority;
beforeAll(async () => {
  bed = await Bed.start();
  here = new OramaNode(bed, 1);
  node = here.node;
  authority = await AcmeAuthority.start({
    // In the client's place.
    ...{ address: publicIpOf(100), namesLeadTo: node.publicIp, validSec: VALID_SEC },
    within: ['ip', 'netns', 'exec', bed.network.client],
  });
  here.installCaddy('Caddyfile', authority);
  await here.start({ turn: { workers: 2, drainTimeoutMs: 1_000 }, certificates: { source: 'caddy' } });
});
beforeEach(() => {
  onTestFailed(async () => console.log(await here.caddyErrors()));
});
afterAll(async () => {
  await authority?.close();
  await bed?.close();
});

const status = async () =>
  JSON.parse(await here.orama('namespace', 'webrtc-status', '--namespace', 'demo', '--json')) as WebrtcStatus;

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

test('without a Caddy a namespace has a self-signed certificate at once, and its status says why', async () => {
  await here.enable();
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
    ...['curl', '-sk', '--resolve', `${HOST}:443:${node.publicIp}`, '-H', `x-api-key: ${here.apiKey}`],
    `https://${HOST}/v1/webrtc/rooms`,
  );
  expect(JSON.parse(stdout)).toMatchObject({ rooms: [] });
  expect(statSync(join(node.root, KEPT)).mode & 0o777).toBe(0o600);
});

test('Caddy renews a certificate, new TLS clients see it, and a relay over TLS loses no packet', async () => {
  const relay = await here.startRelay(5349, authority);
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
  await expect.poll(() => here.caddyConfig('apps/tls/certificates')).toContain(TURN_NAME);
  await node.do('systemctl', 'reload', CADDY);
  await expect.poll(() => here.caddyConfig('apps/tls/certificates')).toContain(TURN_NAME);
  await here.orama('namespace', 'disable', 'webrtc', '--namespace', 'demo');
  expect(await node.do('ls', `${DATA}/certificates`)).toBe('');
  await expect.poll(() => here.caddyConfig('apps/tls/certificates')).not.toContain(HOST);
  const { automation } = JSON.parse(await here.caddyConfig('apps/tls')) as { automation: { policies: object[] } };
  expect(automation.policies).toHaveLength(1);
});

test('a node that leaves with namespaces on it takes their names out of Caddy', async () => {
  await here.orama('namespace', 'enable', 'webrtc', '--namespace', 'demo', '--sfu-nodes', '1', '--turn-nodes', '1');
  await expect.poll(() => here.caddyConfig('apps/tls')).toContain('orama-certificates');
  await node.do(...PROGRAM, 'node', 'leave', '--force');
  const tls = await here.caddyConfig('apps/tls');
  expect(tls).toContain('"policies"');
  for (const ours of ['orama-certificates', HOST]) expect(tls).not.toContain(ours);
});
