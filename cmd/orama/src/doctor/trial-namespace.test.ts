import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates, createServer as tlsServer } from 'node:tls';
import type { ControlplaneClient } from '@orama/controlplane/client';
import type { ClusterFacts } from '@orama/protocol';
import { expect, test } from 'vitest';
import { withTrialNamespace } from './trial-namespace.ts';

/** What a doctor does to a cluster that has the namespace already. */
async function doneTo(owner: string, ageMs: number): Promise<{ calls: string[]; fault: unknown }> {
  const calls: string[] = [];
  const createdAt = new Date(Date.now() - ageMs).toISOString();
  const client = {
    namespaces: async () => [{ name: 'orama-doctor', owner, createdAt }],
    disableWebrtc: async () => calls.push('disable') && {},
    deleteNamespace: async () => void calls.push('delete'),
    createNamespace: async () => Promise.reject(new Error('far enough')),
  } as unknown as ControlplaneClient;
  const run = { signal: new AbortController().signal, onProgress: () => undefined };
  const fault = await withTrialNamespace(client, run, async () => {}).catch((thrown) => thrown);
  return { calls, fault };
}

/** What a doctor says and does in a cluster with two nodes, of which the first is down. */
async function progressOf(cluster: Partial<ClusterFacts>, port = 1): Promise<string[]> {
  const steps: string[] = [];
  const nodes = ['127.126.2.1', '127.126.2.2'].map((publicIp, index) => ({
    ...{ id: `node-${index + 1}`, state: 'active', publicIp, publicIp6: null },
  }));
  const namespaces = [{ name: 'orama-doctor', webrtc: 'enabled' }];
  const facts = { baseDomain: 'localhost', turnNames: true, gatewayCertificates: true, nodes, namespaces, ...cluster };
  const client = {
    namespaces: async () => [],
    createNamespace: async () => ({ apiKey: 'key', url: `https://ns-orama-doctor.localhost:${port}` }),
    enableWebrtc: async () => ({}),
    disableWebrtc: async () => ({}),
    deleteNamespace: async () => undefined,
    clusterFacts: async () => facts,
    cluster: async () => ({ nodes: nodes.map(({ id }) => ({ id, alive: id !== 'node-1' })) }),
  } as unknown as ControlplaneClient;
  const run = { signal: new AbortController().signal, onProgress: (text: string) => void steps.push(text) };
  await withTrialNamespace(client, run, async () => void steps.push('work'));
  return steps;
}

test('a namespace of the doctor’s name that somebody else made is left alone, however old it is', async () => {
  for (const owner of ['operator', 'token:anna', 'doctor who']) {
    const { calls, fault } = await doneTo(owner, 3_600_000);
    expect(calls).toEqual([]);
    expect(fault).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(owner) });
  }
});

test('a doctor of a machine with the same name may be at work; what it left is removed once it is old', async () => {
  const other = `doctor 4000000 1 at ${hostname()} 00000000`;
  expect(await doneTo(other, 1_000)).toMatchObject({ calls: [], fault: { code: 'CONFLICT' } });
  expect((await doneTo(other, 3_600_000)).calls).toEqual(['disable', 'delete']);
});

test('no certificate is waited for where the cluster gets none', async () => {
  expect(await progressOf({ gatewayCertificates: false })).toEqual(['enabling WebRTC for a call', 'work']);
  expect(await progressOf({ turnNames: false })).toEqual(['enabling WebRTC for a call', 'work']);
});

test('the certificate is waited for until it is trusted, and a node that is down is not asked', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'orama-doctor-'));
  const host = 'ns-orama-doctor.localhost';
  const pair = ['-keyout', 'key.pem', '-out', 'cert.pem', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const named = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
  const options = { cwd: folder, stdio: 'pipe' } as const;
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-nodes', ...pair, ...named], options);
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const [key, cert] = [read('key.pem'), read('cert.pem')];
  rmSync(folder, { recursive: true });
  const trusted = getCACertificates('default');
  let seen = 0;
  const second = tlsServer({ key, cert }).listen(0, '127.126.2.2');
  second.on('connection', () => {
    seen += 1;
    if (seen === 2) setDefaultCACertificates([...trusted, cert]);
  });
  await once(second, 'listening');
  const { port } = second.address() as AddressInfo;
  let asked = 0;
  const first = createServer((socket) => {
    asked += 1;
    socket.destroy();
  }).listen(port, '127.126.2.1');
  await once(first, 'listening');
  try {
    expect(await progressOf({}, port)).toEqual([
      'enabling WebRTC for a call',
      `waiting for the certificate of ${host}`,
      'work',
    ]);
    expect(seen).toBeGreaterThanOrEqual(2);
    expect(asked).toBe(0);
  } finally {
    setDefaultCACertificates(trusted);
    first.close();
    second.close();
  }
});
