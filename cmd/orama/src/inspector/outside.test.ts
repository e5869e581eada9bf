import { execFileSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import type { ControlplaneClient } from '@orama/controlplane/client';
import { CHECKS, type Facts, inspect, type Namespace } from '@orama/controlplane/inspector';
import { issueTurnCredentials, OramaError } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { type ClusterFacts, type NodeFacts, turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { TurnService } from '@orama/turn';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { gather, staying } from './gather.ts';
import { hasRoute } from './outside.ts';
import { askNameservers } from './outside-dns.ts';
import { tryGateways } from './outside-gateway.ts';
import { tryPeers, tryTurn } from './outside-turn.ts';

/** What the inspector sees from outside, of servers that are wrong for real. */
const PUBLIC_IP = '127.85.1.40';
const WIREGUARD_IP = '127.85.0.40';
const DNS = { address: '127.85.1.41', port: 5300 };
const SECRET = 'a-secret-of-the-inspected-tenant';
const PRIVATE_PEER = '10.255.255.254';
const NAMESPACE: Namespace = { name: 'demo', webrtc: 'enabled', sfuNodeCount: 1, turnNodeCount: 1 };
const signal = new AbortController().signal;

let folder: string;
let turn: TurnService;
let nameserver: Socket;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'orama-outside-'));
  turn = new TurnService(
    turnConfigSchema.parse({
      node: 'node-1',
      listen: [PUBLIC_IP],
      tls: false,
      workers: 1,
      realm: 'orama.test',
      controlSocket: join(folder, 'turn.sock'),
      internal: { address: WIREGUARD_IP },
    }),
    silentLogger,
  );
  await turn.start();
  nameserver = createSocket('udp4').on('message', (query, from) =>
    nameserver.send(answerTo(query), from.port, from.address),
  );
  nameserver.bind(DNS.port, DNS.address);
  await once(nameserver, 'listening');
});
afterAll(async () => {
  nameserver.close();
  await turn.close();
  rmSync(folder, { recursive: true });
});

/** Says that every name has the address 203.0.113.9 (RFC 1035 section 4.1), and no IPv6 address. */
function answerTo(query: Buffer): Buffer {
  const question = query.subarray(12, query.indexOf(0, 12) + 5);
  const isA = question.readUInt16BE(question.length - 4) === 1;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8400, 2);
  header.set([0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0], 4);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 9]);
  return Buffer.concat(isA ? [header, question, answer] : [header, question]);
}

function clusterOf(port: number, tlsPort: number): ClusterFacts {
  return {
    baseDomain: 'orama.localhost',
    turnNames: true,
    gatewayCertificates: true,
    operatorHost: null,
    turnPort443: false,
    nodes: [{ id: 'node-1', state: 'active', wireguardIp: WIREGUARD_IP, publicIp: PUBLIC_IP, publicIp6: null }],
    namespaces: [NAMESPACE],
    blocks: [
      {
        ...{ service: 'turn', node: 'node-1', namespace: 'demo', address: WIREGUARD_IP, leaving: false },
        ...{ port, tlsPort, relay: { start: 50_000, end: 50_009 } },
      },
    ],
    records: [],
  };
}

/** A controlplane that gives out credentials, as one does: no more of it is asked from outside. */
const client = {
  turnCredentials: async (namespace: string) =>
    issueTurnCredentials({ secret: SECRET, namespace, ttlSec: 600, uris: [], nowMs: Date.now() }),
} as unknown as ControlplaneClient;

function judge(id: string, facts: Partial<Facts>) {
  const nothing = { nodes: new Map(), plans: [], clocks: new Map(), turn: [], peers: [], gateways: [], dns: [] };
  const all = {
    cluster: clusterOf(3478, 5349),
    enabled: [NAMESPACE],
    ...nothing,
    version: '1',
    nowMs: Date.now(),
    ...facts,
  };
  const [result] = inspect(
    CHECKS.filter((check) => check.id === id),
    all,
    [],
  );
  return { severity: result?.severity, seen: result?.findings[0]?.seen };
}

const attach = (peers: object[]) =>
  turn.tenants.attach(
    turnTenantSchema.parse({
      ...{ namespace: 'demo', secrets: [SECRET], peers, generation: peers.length },
      relay: { address: WIREGUARD_IP, portStart: 50_000, portEnd: 50_009 },
    }),
  );

test('a TURN server that relays to a private address is critical, and one that refuses is well', async () => {
  const target = { client, cluster: clusterOf(3478, 5349), enabled: [NAMESPACE], signal };
  await attach([]);
  expect(judge('relay-policy', { peers: await tryPeers(target) })).toMatchObject({ severity: 'ok' });
  await attach([{ ip: PRIVATE_PEER, portStart: 1_024, portEnd: 65_535 }]);
  expect(judge('relay-policy', { peers: await tryPeers(target) })).toEqual({
    severity: 'critical',
    seen: `relays to ${PRIVATE_PEER}`,
  });
});

test('a TURN server that relays IPv6 is asked for private addresses of that as well, and none is granted', async () => {
  const target = { client, cluster: clusterOf(3478, 5349), enabled: [NAMESPACE], signal };
  const relay = { address: WIREGUARD_IP, address6: '::1', portStart: 50_000, portEnd: 50_009 };
  const tenant = { namespace: 'demo', secrets: [SECRET], relay };
  const attach6 = (peers: object[], generation: number) =>
    turn.tenants.attach(turnTenantSchema.parse({ ...tenant, peers, generation }));
  await attach6([], 10);
  // The relay's own address, which a client may always send to, and the only one of IPv6 that every machine has.
  const foreign = (await tryPeers(target)).filter(({ peer }) => peer !== '::1');
  const refused = foreign.filter(({ peer }) => isIPv6(peer));
  expect(refused.map(({ peer, code }) => `${peer} ${code}`)).toEqual(
    ['fdff:ffff:ffff::fffe', 'fe80::fffe', '::ffff:10.255.255.254', '64:ff9b::10.255.255.254'].map(
      (peer) => `${peer} 403`,
    ),
  );
  expect(judge('relay-policy', { peers: foreign })).toMatchObject({ severity: 'ok' });
  await attach6([{ ip: 'fe80::fffe', portStart: 1_024, portEnd: 65_535 }], 11);
  expect(judge('relay-policy', { peers: await tryPeers(target) })).toEqual({
    ...{ severity: 'critical', seen: 'relays to ::1, fe80::fffe' },
  });
  await attach([]);
  expect((await tryPeers(target)).filter(({ peer }) => isIPv6(peer))).toEqual([]);
});

test('a certificate that has ended is told as that, and a port where nothing listens as not reachable', async () => {
  const files = ['-keyout', 'key.pem', '-out', 'request.pem'];
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  openssl(
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=ended',
    ...files,
  );
  openssl('x509', '-req', '-in', 'request.pem', '-signkey', 'key.pem', '-days', '-1', '-out', 'cert.pem');
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(folder, name)));
  const server = createServer({ key, cert }, (socket) => socket.destroy()).listen(5349, PUBLIC_IP);
  await once(server, 'listening');
  try {
    const attempts = await tryTurn({
      ...{ client, cluster: clusterOf(3479, 5349), enabled: [NAMESPACE], signal, timeoutMs: 700 },
    });
    const certificate = judge('certificate', { turn: attempts });
    expect(certificate.severity).toBe('critical');
    expect(certificate.seen).toMatch(/ended at \d{4}-/);
    expect(judge('turn-reachable', { turn: attempts })).toMatchObject({ severity: 'critical' });
    const gateways = await tryGateways({ cluster: clusterOf(3479, 5349), enabled: [NAMESPACE], port: 5349 });
    expect(judge('certificate', { gateways }).seen).toMatch(/:5349: browsers refuse it: .*; ended at \d{4}-/);
    const closed = await tryGateways({ cluster: clusterOf(3479, 5349), enabled: [NAMESPACE], port: 5350 });
    expect(judge('certificate', { gateways: closed }).seen).toContain('no certificate was seen');
    const own = { ...clusterOf(3479, 5349), operatorHost: 'api.orama.localhost' };
    const ofOperators = await tryGateways({ cluster: own, enabled: [], port: 5349 });
    expect(judge('certificate', { gateways: ofOperators, enabled: [] }).seen).toMatch(
      /^api\.orama\.localhost at .*:5349: browsers refuse it/,
    );
    expect(attempts.map(({ transport, failure }) => [transport, failure !== null])).toEqual([
      ['udp', true],
      ['tcp', true],
      ['tls', true],
    ]);
  } finally {
    server.close();
  }
});

test('a nameserver that leads elsewhere is critical, and one that does not answer is too', async () => {
  const nodeWith = (port: number) =>
    ({
      node: 'node-1',
      gateway: { healthy: true, reason: null },
      turn: { running: true, draining: false, held: false, tenants: ['demo'] },
      dns: { writer: 'embedded', servers: [{ ...DNS, port }], zoneFile: null },
    }) as unknown as NodeFacts;
  const ask = async (port: number) => {
    const nodes = new Map([['node-1', nodeWith(port)]]);
    const cluster = clusterOf(3478, 5349);
    return judge('dns', { nodes, dns: await askNameservers({ cluster, enabled: [NAMESPACE], nodes }) });
  };
  const wrong = await ask(DNS.port);
  expect(wrong.severity).toBe('critical');
  expect(wrong.seen).toContain(
    'turn.ns-demo.orama.localhost: leads to 203.0.113.9, where nothing serves it; does not lead to',
  );
  expect(await ask(DNS.port + 1)).toMatchObject({
    severity: 'critical',
    seen: expect.stringContaining('does not answer'),
  });
});

test('nameservers that nobody is led to are critical, whoever writes DNS, and names of namespaces without WebRTC are orphans', async () => {
  const off = { ...NAMESPACE, name: 'gone', webrtc: 'off' as const };
  const node = {
    ...{ node: 'node-1', dns: { writer: 'embedded', servers: [DNS], zoneFile: null } },
    ...{ units: [], unitFolders: [], namespaceFolders: [], turn: { tenants: [] }, gateway: { healthy: true } },
  } as unknown as NodeFacts;
  const cluster = { ...clusterOf(3478, 5349), baseDomain: 'orama.test', namespaces: [NAMESPACE, off] };
  const nodes = new Map([['node-1', node]]);
  const ask = (find: (domain: string) => Promise<string[]>) =>
    askNameservers({ cluster, enabled: [NAMESPACE], nodes }, find);
  const lost = await ask(async (domain) => Promise.reject(new Error(`queryNs ENOTFOUND ${domain}`)));
  const [delegation] = lost.filter(({ isDelegation }) => isDelegation);
  expect(judge('dns', { cluster, nodes, dns: delegation ? [delegation] : [] })).toEqual({
    severity: 'critical',
    seen: 'the nameservers of orama.test: cannot be found: queryNs ENOTFOUND orama.test',
  });
  const byAddress = { ...cluster, turnNames: false };
  expect(judge('dns', { cluster: byAddress, nodes, dns: delegation ? [delegation] : [] }).severity).toBe('warning');
  const found = await ask(async () => []);
  expect(found.map(({ server }) => server)).toEqual([`${DNS.address}:${DNS.port}`]);
  expect(judge('orphans', { cluster, nodes, dns: found }).seen).toContain('turn.ns-gone.orama.test at');
});

test('an IPv6 address of a node is tried where this machine has a way to it', async () => {
  await attach([]);
  const cluster = clusterOf(3478, 5349);
  for (const node of cluster.nodes) node.publicIp6 = '::1';
  const attempts = await tryTurn({ client, cluster, enabled: [NAMESPACE], signal, timeoutMs: 700 });
  const seen = attempts.filter(({ server }) => server.startsWith('[::1]:'));
  expect(seen.map(({ transport }) => transport)).toEqual(['udp', 'tcp', 'tls']);
  // Nothing listens there; without IPv6 it is not tried.
  const isTried = await hasRoute('::1');
  expect(
    seen.every(({ failure, untried }) => (failure !== null) === isTried && (untried === undefined) === isTried),
  ).toBe(true);
});

test('the zone file of every node is read, and one that is missing is critical', async () => {
  const nodeWith = (node: string, zoneFile: NodeFacts['dns']['zoneFile']) =>
    [node, { node, dns: { writer: 'file', servers: [], zoneFile } } as unknown as NodeFacts] as const;
  const text = 'turn.ns-demo.orama.localhost. 60 IN A 203.0.113.9\n';
  const nodes = new Map([nodeWith('node-1', { path: '/zone', text }), nodeWith('node-2', null)]);
  const seen = await askNameservers({ cluster: clusterOf(3478, 5349), enabled: [NAMESPACE], nodes });
  expect(seen).toEqual([
    { server: '/zone of node-1', names: new Map([['turn.ns-demo.orama.localhost', ['203.0.113.9']]]), failure: null },
    { server: 'the zone file of node-2', names: new Map(), failure: 'has not been written' },
  ]);
});

test('who may only read is told that TURN was not tried, with the token that it needs', async () => {
  const hint = 'use one of scope operator';
  const viewer = {
    clusterFacts: async () => clusterOf(3478, 5349),
    nodeFacts: async () => Promise.reject(new Error('not asked here')),
    turnCredentials: async () =>
      Promise.reject(new OramaError('FORBIDDEN', 'the token "anna" may only read', { hint })),
  } as unknown as ControlplaneClient;
  const needs = new Set(['turn', 'peers'] as const);
  const { facts, silent } = await gather({
    ...{ client: viewer, needs, namespace: undefined, version: '1', signal, onProgress: () => {} },
  });
  const why = 'TURN cannot be tried: the token "anna" may only read';
  expect(silent.filter(({ node }) => node === null)).toEqual(
    ['turn', 'peers'].map((need) => ({ node: null, needs: need, why, mend: hint })),
  );
  expect(facts).toMatchObject({ turn: [], peers: [] });
});

test('what is to do is told when a later look finds it again, and not what was done meanwhile', () => {
  const action = (subject: string) => ({ kind: 'firewall-open', subject, reason: 'it is closed' });
  const plan = (subjects: string[], error?: string) => ({
    node: 'node-1',
    tasks: [{ task: 'firewall', actions: subjects.map(action), ...(error !== undefined && { error }) }],
  });
  expect(staying(plan(['443', '53']), plan(['53', '80']))).toEqual(plan(['53']));
  expect(staying(plan([], 'ufw is gone'), plan([]))).toEqual(plan([]));
  expect(staying(plan([], 'ufw is gone'), plan([], 'ufw is gone'))).toEqual(plan([], 'ufw is gone'));
});
