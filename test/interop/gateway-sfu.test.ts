import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretBox, sfuSecretOf, turnPassword } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { Gateway } from '@orama/gateway';
import { gatewayConfigSchema, participantListSchema, roomListSchema, type SfuConfigInput } from '@orama/protocol';
import { createStore, hashKey, openStore, type Store, TURN_SECRET_PURPOSE } from '@orama/store';
import { REPOSITORY, SignallingClient, waitFor } from '@orama/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

const NET = '127.84.252';
const NS = 'interop';
const API_KEY = 'ok_interop_0123456789abcdef0123456789';
const TURN_SECRET = 'a TURN secret of the interop test';
const CLUSTER_KEY = 'a cluster key of the interop test';
const NODES = ['node-1', 'node-2'];
const ROOMS = '/v1/webrtc/rooms';
const GENERATION = 1;

/** Two real SFU processes, a real store, and gateways in this process. */
describe('gateway and SFU', () => {
  let dir: string;
  let store: Store;
  let sfus: Map<string, ChildProcess>;
  let gateways: Gateway[];
  let url: string;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'gateway-interop-'));
    sfus = new Map();
    gateways = [];
    writeFileSync(join(dir, 'sfu.secret'), sfuSecretOf(CLUSTER_KEY, NS), { mode: 0o600 });
    store = createStore(await openStore({ driver: 'sqlite', file: join(dir, 'store.db') }));
    await fillStore();
    await Promise.all(NODES.map((node) => startSfu(node)));
    url = await startGateway(100);
  });

  afterEach(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await Promise.all(NODES.map((node) => endSfu(node, 'SIGKILL')));
    await store.db.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const addressOf = (node: string) => `${NET}.${NODES.indexOf(node) + 1}`;

  /** A namespace with WebRTC on, as the controlplane leaves it. */
  async function fillStore(): Promise<void> {
    const nowMs = Date.now();
    const secret = new SecretBox(CLUSTER_KEY, TURN_SECRET_PURPOSE).seal(TURN_SECRET, NS);
    for (const node of NODES) {
      const wireguardIp = addressOf(node);
      const publicIp = wireguardIp;
      const facts = { id: node, name: node, wireguardIp, publicIp, region: 'x', version: '0', lastSeenAtMs: nowMs };
      await store.nodes.register(facts);
      await store.db.batch([store.nodes.setReachable({ id: node, beats: 0 }, true, nowMs)]);
    }
    await store.db.batch([
      store.namespaces.insert({ id: 'ns_1', name: NS, owner: 'test', createdAtMs: nowMs }),
      store.keys.insert({ id: 'k1', namespace: NS, kind: 'owner', hash: hashKey(API_KEY), createdAtMs: nowMs }),
      store.webrtc.insert({
        namespace: NS,
        turnSharedSecret: secret,
        turnCredentialTtlSec: 600,
        sfuNodeCount: 2,
        turnNodeCount: 1,
        turn: {
          peerPolicy: 'sfu',
          maxAllocations: 800,
          maxAllocationsPerUsername: 400,
          bytesPerSec: null,
          allocationBytesPerSec: null,
        },
        enabledBy: 'test',
        enabledAtMs: nowMs,
        generation: GENERATION,
      }),
      store.webrtc.markEnabled(NS, GENERATION),
      ...NODES.map((node) =>
        store.ports.insert({
          service: 'sfu',
          nodeId: node,
          hostIp: addressOf(node),
          namespace: NS,
          signalingPort: 30_000,
          mediaPortStart: 20_000,
          mediaPortEnd: 20_499,
          allocatedAtMs: nowMs,
        }),
      ),
    ]);
  }

  async function startSfu(node: string): Promise<void> {
    const config: SfuConfigInput = {
      node,
      namespace: NS,
      address: addressOf(node),
      wireguardNetwork: `${NET}.0/24`,
      signalingPort: 30_000,
      mediaPortStart: 20_000,
      mediaPortEnd: 20_499,
      secretFile: join(dir, 'sfu.secret'),
      turn: { uris: [`turn:${NET}.200:3478?transport=udp`], secret: TURN_SECRET },
      drainTimeoutMs: 20_000,
      logLevel: 'error',
    };
    const file = join(dir, `sfu-${node}.json`);
    writeFileSync(file, JSON.stringify(config));
    const main = join(REPOSITORY, 'cmd/sfu/dist/main.js');
    sfus.set(node, spawn(process.execPath, [main, '--config', file], { stdio: ['ignore', 'ignore', 'inherit'] }));
    await waitFor(`the SFU of ${node}`, async () => (await fetch(`http://${addressOf(node)}:30000/readyz`)).ok);
  }

  async function endSfu(node: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = sfus.get(node);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  /** Starts a gateway on an address of its own. @returns its URL */
  async function startGateway(host: number): Promise<string> {
    const address = `${NET}.${host}`;
    const config = gatewayConfigSchema.parse({
      node: 'node-1',
      listen: { address, port: 6080 },
      internal: { address, port: 6002 },
      baseDomain: 'orama.test',
      store: { driver: 'sqlite', file: join(dir, 'store.db') },
      clusterKeyFile: join(dir, 'cluster.key'),
    });
    const database = await openStore(config.store);
    const gateway = new Gateway({ config, clusterKey: CLUSTER_KEY, database, logger: silentLogger });
    await gateway.start();
    gateways.push(gateway);
    return `http://${address}:6080`;
  }

  async function rest(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'x-api-key': API_KEY, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : JSON.parse(text) };
  }

  /** Opens a socket, joins, and waits for the welcome. */
  async function joinRoom(room: string, options: { at?: string; name?: string; resume?: string } = {}) {
    const { at = url, ...frame } = options;
    const client = await SignallingClient.open({ gateway: at, host: `ns-${NS}.orama.test`, apiKey: API_KEY, room });
    client.send({ type: 'join', ...frame });
    return { client, welcome: await client.next('welcome') };
  }

  const nodeOf = async (room: string) => (await store.rooms.get(NS, room))?.place?.nodeId ?? '';

  test('two peers meet, talk and part through it, and REST says who is where', async () => {
    const ada = await joinRoom('hall', { name: 'Ada' });
    const { username, password, ttl } = await ada.client.next('turn-credentials');
    expect([password, ttl]).toEqual([turnPassword(TURN_SECRET, username), 600]);
    const bob = await joinRoom('hall', { name: 'Bob' });
    expect(bob.welcome.participants.map((each) => each.name)).toEqual(['Ada']);
    expect(await ada.client.next('peer-joined')).toMatchObject({ peerId: bob.welcome.peerId, name: 'Bob' });
    bob.client.send({ type: 'data', data: { hello: 'Ada' } });
    expect(await ada.client.next('data')).toMatchObject({ from: bob.welcome.peerId, data: { hello: 'Ada' } });

    const { rooms } = roomListSchema.parse((await rest('GET', ROOMS)).body);
    expect(rooms).toMatchObject([{ room_id: 'hall', node: await nodeOf('hall'), participants: 2, tracks: 0 }]);
    const { participants } = participantListSchema.parse((await rest('GET', `${ROOMS}/hall/participants`)).body);
    expect(participants.map(({ peerId }) => peerId)).toEqual([ada.welcome.peerId, bob.welcome.peerId]);

    await bob.client.close();
    expect(await ada.client.next('peer-left')).toMatchObject({ peerId: bob.welcome.peerId, reason: 'left' });
  });

  test('the room may be named by the join frame, and the enveloped dialect is spoken to who asks for it', async () => {
    await joinRoom('hall');
    const address = `${url.replace('http', 'ws')}/v1/webrtc/signal?api_key=${API_KEY}`;
    const socket = new WebSocket(address, ['orama-envelope']);
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'join', data: { roomId: 'hall' } }));
    const [message] = await once(socket, 'message');
    expect(JSON.parse(String(message))).toMatchObject({ type: 'welcome', data: { room: 'hall' } });
    socket.terminate();
  });

  test('max_participants of a room made by REST holds at the SFU', async () => {
    expect((await rest('POST', ROOMS, { room_id: 'pair', max_participants: 1 })).status).toBe(201);
    await joinRoom('pair');
    const target = { gateway: url, host: `ns-${NS}.orama.test`, apiKey: API_KEY, room: 'pair' };
    const second = await SignallingClient.open(target);
    second.send({ type: 'join' });
    expect(await second.next('error')).toMatchObject({ code: 'room_full' });
    expect((await second.closed).code).toBe(4004);
  });

  test('a kicked peer is told and closed; muting and kicking one who is not there is 404', async () => {
    const { client, welcome } = await joinRoom('hall');
    expect((await rest('POST', `${ROOMS}/hall/participants/${welcome.peerId}/mute`, { muted: true })).status).toBe(200);
    expect((await rest('DELETE', `${ROOMS}/hall/participants/${welcome.peerId}`)).status).toBe(204);
    expect(await client.next('kicked')).toMatchObject({ type: 'kicked' });
    expect((await client.closed).code).toBeGreaterThanOrEqual(4000);
    await joinRoom('hall');
    for (const answer of [
      await rest('POST', `${ROOMS}/hall/participants/nobody/mute`, { muted: true }),
      await rest('DELETE', `${ROOMS}/hall/participants/nobody`),
    ]) {
      expect(answer).toMatchObject({ status: 404, body: { error: { code: 'PEER_NOT_FOUND' } } });
    }
  });

  test('DELETE of a room tells and disconnects everybody in it', async () => {
    const { client } = await joinRoom('hall');
    expect((await rest('DELETE', `${ROOMS}?room_id=hall`)).status).toBe(204);
    expect(await client.next('room-closed')).toMatchObject({ type: 'room-closed' });
    await client.closed;
    expect(roomListSchema.parse((await rest('GET', ROOMS)).body).rooms).toEqual([]);
  });

  test('a client whose network failed comes back as the same peer', async () => {
    const ada = await joinRoom('hall');
    const bob = await joinRoom('hall');
    bob.client.socket.terminate();
    const back = await joinRoom('hall', { resume: bob.welcome.resumeToken });
    expect(back.welcome).toMatchObject({ resumed: true, peerId: bob.welcome.peerId });
    expect(ada.client.frames.some((frame) => frame.type === 'peer-left')).toBe(false);
  });

  test('a gateway that stops costs nobody their peer: they come back through another', async () => {
    const second = await startGateway(101);
    const { client, welcome } = await joinRoom('hall');
    await gateways[0]?.stop();
    gateways.shift();
    expect((await client.closed).code).toBe(1001);
    const back = await joinRoom('hall', { at: second, resume: welcome.resumeToken });
    expect(back.welcome).toMatchObject({ resumed: true, peerId: welcome.peerId });
  });

  test('a killed SFU closes 4013, and everybody meets again on another', async () => {
    const first = [await joinRoom('hall'), await joinRoom('hall')];
    const node = await nodeOf('hall');
    await endSfu(node, 'SIGKILL');
    for (const { client } of first) expect((await client.closed).code).toBe(4013);
    const [ada] = await Promise.all([joinRoom('hall'), joinRoom('hall')]);
    expect(await nodeOf('hall')).not.toBe(node);
    const { participants } = participantListSchema.parse((await rest('GET', `${ROOMS}/hall/participants`)).body);
    expect(participants.map(({ peerId }) => peerId)).toContain(ada.welcome.peerId);
    expect(participants).toHaveLength(2);
  });

  test('a draining SFU tells its clients, who meet again on another while it still runs', async () => {
    const [ada, bob] = [await joinRoom('hall'), await joinRoom('hall')];
    const node = await nodeOf('hall');
    const gone = endSfu(node, 'SIGTERM');
    await ada.client.next('server-draining');
    await ada.client.close();
    // As a client does: again after a 4013, which is what whoever is too early still gets.
    await waitFor('a welcome on another SFU', () => joinRoom('hall'));
    expect(await nodeOf('hall')).not.toBe(node);
    // Who had not left by itself is sent after the room.
    expect((await bob.client.closed).code).toBe(4013);
    await gone;
  });
});
