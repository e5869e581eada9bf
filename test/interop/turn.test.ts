import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { issueTurnCredentials } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { TurnService, type WorkerReport } from '@orama/turn';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);

const SECRET = 'a-secret-shared-with-coturn';
const PUBLIC_IP = '127.91.1.30';
const RELAY_IP = '127.91.0.30';
const PEER_IP = '127.91.0.31';
const LOOPBACK6 = '::1';
const PEER_PORT = 3480;
const MESSAGES = 20;

let dir: string;
let turn: TurnService;
let peers: ChildProcess[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'turn-interop-'));
  turn = new TurnService(
    turnConfigSchema.parse({
      node: 'node-1',
      listen: [PUBLIC_IP, LOOPBACK6],
      realm: 'orama.localhost',
      controlSocket: join(dir, 'turn.sock'),
      internal: { address: RELAY_IP },
      unauthenticatedRate: { burst: 1000, perSec: 1000 },
    }),
    silentLogger,
  );
  await turn.start();
  await turn.tenants.attach(
    turnTenantSchema.parse({
      namespace: 'interop',
      secrets: [SECRET],
      relay: { address: RELAY_IP, address6: LOOPBACK6, portStart: 50_000, portEnd: 50_799 },
      // turnutils_peer listens on a port and the one above it; with EVEN-PORT pairs the client uses both.
      peers: [PEER_IP, LOOPBACK6].map((ip) => ({ ip, portStart: PEER_PORT, portEnd: PEER_PORT + 1 })),
      allowPublicPeers: true,
      maxAllocationsPerUsername: 800,
      generation: 1,
    }),
  );
  // Fails the suite when coturn's tools are not installed.
  peers = [PEER_IP, LOOPBACK6].map((ip) =>
    spawn('turnutils_peer', ['-L', ip, '-p', String(PEER_PORT)], { stdio: 'ignore' }),
  );
  await Promise.all(peers.map((peer) => once(peer, 'spawn')));
});

afterAll(async () => {
  for (const peer of peers) {
    const gone = once(peer, 'exit');
    peer.kill();
    await gone;
  }
  await turn.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Runs coturn's client; the numbers of its report. It exits with 0 even when it got nowhere, so the numbers count. */
async function uclient(flags: readonly string[], { server = PUBLIC_IP, peer = PEER_IP } = {}) {
  const { username, password } = issueTurnCredentials({
    secret: SECRET,
    namespace: 'interop',
    ttlSec: 600,
    uris: [],
    nowMs: Date.now(),
  });
  const port = flags.includes('-S') ? '5349' : '3478';
  const target = ['-e', peer, '-r', String(PEER_PORT), '-n', String(MESSAGES), '-p', port, server];
  const { stdout } = await run('turnutils_uclient', [...flags, '-u', username, '-w', password, ...target], {
    timeout: 60_000,
  });
  const numbers = [...stdout.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].at(-1);
  return { sent: Number(numbers?.[1] ?? 0), received: Number(numbers?.[2] ?? 0), output: stdout };
}

describe('coturn’s clients against our server', () => {
  test('turnutils_stunclient learns its address', async () => {
    const { stdout } = await run('turnutils_stunclient', ['-p', '3478', PUBLIC_IP]);
    expect(stdout).toMatch(/UDP reflexive addr: 127\.0\.0\.1:\d+/);
    const ipv6 = await run('turnutils_stunclient', ['-p', '3478', LOOPBACK6]);
    expect(ipv6.stdout).toMatch(/UDP reflexive addr: \[?::1\]?:\d+/);
  });

  test.concurrent.each([
    ['ChannelData over UDP', []],
    ['Send and Data over UDP', ['-s']],
    ['ChannelData over TCP', ['-t']],
    ['Send and Data over TCP', ['-t', '-s']],
    ['no RTCP ports', ['-c']],
    ['an IPv4 relay asked for by name', ['-X']],
    ['extra permissions and bindings', ['-G']],
    ['five clients at once', ['-m', '5']],
    ['fifty clients at once', ['-m', '50']],
    ['twenty clients at once over TCP', ['-t', '-m', '20']],
    ['a dual allocation', ['-Z']],
    ['a dual allocation over TCP', ['-Z', '-t']],
    ['two dual allocations that meet in the relay', ['-Z', '-y', '-m', '2']],
    ['channels padded also over UDP', ['-D']],
    ['two clients that meet in the relay', ['-y', '-m', '2']],
    ['two clients that meet in the relay, over TCP', ['-y', '-t', '-m', '2']],
    ['large messages', ['-l', '1200']],
  ])('turnutils_uclient with %s loses nothing', async (_what, flags) => {
    const { sent, received, output } = await uclient(flags);
    expect(sent, output).toBeGreaterThanOrEqual(MESSAGES);
    expect(received).toBe(sent);
  });

  test.concurrent.each([
    ['IPv6 from an IPv6 client', ['-x'], LOOPBACK6, LOOPBACK6],
    ['IPv6 from an IPv6 client over TCP', ['-x', '-t'], LOOPBACK6, LOOPBACK6],
    ['IPv6 by Send and Data', ['-x', '-s'], LOOPBACK6, LOOPBACK6],
    ['IPv6 from an IPv4 client', ['-x'], PUBLIC_IP, LOOPBACK6],
    ['IPv4 by name from an IPv6 client', ['-X'], LOOPBACK6, PEER_IP],
    ['IPv4 by name from an IPv6 client over TCP', ['-X', '-t'], LOOPBACK6, PEER_IP],
    ['both families, from an IPv6 client', ['-Z'], LOOPBACK6, PEER_IP],
    ['IPv6 between two clients', ['-x', '-y', '-m', '2'], LOOPBACK6, LOOPBACK6],
  ])('turnutils_uclient relayed over %s loses nothing', async (_what, flags, server, peer) => {
    const { sent, received, output } = await uclient(flags, { server, peer });
    expect(sent, output).toBeGreaterThanOrEqual(MESSAGES);
    expect(received).toBe(sent);
  });

  // Over TLS coturn's client takes each record for one message and drops it when two share one: the server's own count
  // of what came from its peer and went to it says that nothing was lost.
  test.each([
    ['ChannelData over TLS', ['-t', '-S']],
    ['Send and Data over TLS', ['-t', '-S', '-s']],
    ['a dual allocation over TLS', ['-t', '-S', '-Z']],
    ['two clients that meet in the relay, over TLS', ['-t', '-S', '-y', '-m', '2']],
    ['twenty clients at once and large messages over TLS', ['-t', '-S', '-m', '20', '-l', '1200']],
  ])('turnutils_uclient with %s has everything relayed', async (_what, flags) => {
    const before = await relayed();
    const { sent, received, output } = await uclient(flags);
    expect(received, output).toBeGreaterThan(0);
    const after = await relayed();
    expect(after).toEqual({ toPeer: before.toPeer + sent, toClient: before.toClient + sent });
  });

  test.each([
    ['TCP', 'tcp', ['-t']],
    ['TLS', 'tls', ['-t', '-S']],
  ] as const)('turnutils_uclient over %s leaves nothing behind', async (_name, transport, flags) => {
    const before = await total(({ allocationsOpened }) => allocationsOpened);
    await uclient(flags);
    expect(await total(({ allocationsOpened }) => allocationsOpened)).toBeGreaterThan(before);
    // coturn's UDP client leaves its probing allocations to expire; its TCP and TLS clients cannot.
    await expect.poll(() => total(({ transports }) => transports[transport] ?? 0)).toBe(0);
  });

  test('turnutils_uclient with a wrong password gets nowhere', async () => {
    const opened = await total(({ allocationsOpened }) => allocationsOpened);
    const args = ['-u', '9999999999:interop', '-w', 'wrong', '-e', PEER_IP, '-n', '2', '-p', '3478', PUBLIC_IP];
    await run('turnutils_uclient', args, { timeout: 30_000 }).catch(() => undefined);
    expect(await total(({ allocationsOpened }) => allocationsOpened)).toBe(opened);
  });
});

/** What `openssl s_client` says of a handshake with our TLS listener. */
async function opensslClient(flags: readonly string[], host = PUBLIC_IP): Promise<string> {
  const client = run('openssl', ['s_client', '-connect', `${host}:5349`, ...flags], { timeout: 30_000 });
  client.child.stdin?.end();
  const { stdout, stderr } = await client.catch((failed: { stdout: string; stderr: string }) => failed);
  return stdout + stderr;
}

describe('openssl s_client against our server', () => {
  test.each([
    ['TLS 1.3 with ALPN stun.turn', ['-tls1_3', '-alpn', 'stun.turn'], /ALPN protocol: stun\.turn/],
    ['TLS 1.2 with forward secrecy', ['-tls1_2'], /Cipher is ECDHE-ECDSA-AES128-GCM-SHA256/],
    ['no ALPN', ['-tls1_3'], /No ALPN negotiated/],
    ['ALPN http/1.1', ['-alpn', 'http/1.1'], /no application protocol/],
    ['TLS 1.1', ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], /protocol version/],
    ['a suite without forward secrecy', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256'], /handshake failure/],
  ])('%s: %j', async (_what, flags, says) => {
    expect(await opensslClient(flags)).toMatch(says);
  });

  test('the certificate made by the server is one for its addresses', async () => {
    const said = await opensslClient(['-showcerts']);
    const file = join(dir, 'shown.pem');
    writeFileSync(file, /-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----/s.exec(said)?.[0] ?? '');
    const verify = (address: string) => ['-verify_ip', address, '-CAfile', file];
    expect(await opensslClient(verify(PUBLIC_IP))).toContain('Verify return code: 0 (ok)');
    expect(await opensslClient(verify(LOOPBACK6), `[${LOOPBACK6}]`)).toContain('Verify return code: 0 (ok)');
    expect(await opensslClient(verify('192.0.2.1'))).toContain('IP address mismatch');
  });
});

/** Packets relayed so far. */
async function relayed(): Promise<{ toPeer: number; toClient: number }> {
  const [usage] = (await turn.usage()).tenants;
  return { toPeer: usage?.toPeerPackets ?? 0, toClient: usage?.toClientPackets ?? 0 };
}

/** A number of the server, summed over its workers. */
async function total(value: (worker: WorkerReport) => number): Promise<number> {
  return (await turn.reports()).reduce((sum, worker) => sum + value(worker), 0);
}
