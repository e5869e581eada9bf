import { issueTurnCredentials } from '@orama/core';
import { SIGNALLING_CLOSE, type TurnCredentials } from '@orama/protocol';
import {
  type BrowserDriver,
  CallPage,
  LocalCluster,
  launchChromium,
  type NamespaceAccess,
  portBlocksOf,
  SignallingClient,
  SyntheticPeer,
  waitFor,
} from '@orama/testkit';
import { turnServersOf } from '@orama/turn/bridge';
import { TurnClient, TurnError } from '@orama/turn/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Three tenants on the same three nodes, enabled at once from three shells. */
const NAMES = ['alpha', 'beta', 'gamma'] as const;
let cluster: LocalCluster;
let chromium: BrowserDriver;
let tenants: NamespaceAccess[];

beforeAll(async () => {
  [cluster, chromium] = await Promise.all([LocalCluster.start({ prefix: 94 }), launchChromium()]);
  tenants = await Promise.all(NAMES.map((name) => cluster.createNamespace(name)));
  const shells = NAMES.map((name) => cluster.spawn('namespace', 'enable', 'webrtc', '--namespace', name));
  for (const result of await Promise.all(shells.map((shell) => shell.finished))) {
    expect(result.code, result.output).toBe(0);
  }
});
afterAll(async () => {
  await chromium?.close();
  await cluster?.stop();
});

const tenant = (name: (typeof NAMES)[number]) => tenants[NAMES.indexOf(name)] as NamespaceAccess;

test('every namespace has ports of its own on every node, and blocks never overlap', () => {
  const blocks = NAMES.flatMap((name) => portBlocksOf(cluster.databaseFile, name));
  expect(blocks.filter((block) => block.service === 'sfu')).toHaveLength(9);
  expect(blocks.filter((block) => block.service === 'turn')).toHaveLength(6);
  for (const [index, one] of blocks.entries()) {
    for (const other of blocks.slice(index + 1).filter((each) => each.address === one.address)) {
      for (const range of ['mediaPorts', 'relayPorts'] as const) {
        const [a, b] = [one[range], other[range]];
        if (a && b) expect(a[1] < b[0] || b[1] < a[0], `${range} ${a} and ${b} on ${one.address}`).toBe(true);
      }
      if (one.signallingPort !== null) expect(other.signallingPort).not.toBe(one.signallingPort);
    }
  }
});

test('what was asked of the cluster, who does what, and what is to do are shown', async () => {
  const json = async (...args: string[]) => JSON.parse((await cluster.run(...args, '--json')).stdout);
  const { operations } = await json('operations', 'list', '--namespace', 'alpha');
  expect(operations).toMatchObject([
    { kind: 'enable-webrtc', namespace: 'alpha', state: 'done', requestedBy: expect.stringMatching(/^.+@.+$/) },
  ]);
  const [shown, { leases }, { nodes }] = await Promise.all([
    cluster.run('operations', 'show', operations[0].id),
    json('leases'),
    json('reconcile', '--dry-run'),
  ]);
  expect(shown.stdout).toMatch(/turn:node-\d +done +\d\.\d\d s +\d\.\d\d s/);
  expect(leases).toContainEqual(expect.objectContaining({ name: 'dns', holder: expect.stringMatching(/^node-\d$/) }));
  expect(nodes).toHaveLength(3);
  for (const { tasks } of nodes) {
    expect(tasks).toContainEqual(expect.objectContaining({ task: 'sfu-services' }));
    expect(tasks.filter(({ error }: { error?: string }) => error !== undefined)).toEqual([]);
  }
});

test('calls go on in all three at the same time, in rooms of one name, and none sees another', async () => {
  const [alpha, ...others] = tenants;
  const pages = await Promise.all(
    [1, 2].map((node) =>
      CallPage.join(chromium, alpha as NamespaceAccess, { room: 'lobby', name: `alpha-${node}`, node }),
    ),
  );
  const pairs = await Promise.all(
    others.map((access) =>
      Promise.all(
        [1, 2].map((node) =>
          SyntheticPeer.join({
            ...cluster.signalling(access, node),
            ...{
              room: 'lobby',
              name: `${access.name}-${node}`,
              transport: 'udp',
              localAddress: `${cluster.prefix}.9.${node}`,
            },
          }),
        ),
      ),
    ),
  );
  // Exactly one other in every room: a stranger from another namespace would be a second.
  await Promise.all(pages.map((page) => page.waitMedia(1)));
  for (const [one, two] of pairs as [SyntheticPeer, SyntheticPeer][]) {
    for (const [receiver, sender] of [
      [one, two],
      [two, one],
    ] as const) {
      const { peerId } = sender;
      const announced = () =>
        receiver.signalling.frames.filter((frame) => frame.type === 'track-added' && frame.peerId !== receiver.peerId);
      await waitFor(
        'packets of the other',
        () => receiver.packetsOf(peerId, 'video') > 20 && receiver.packetsOf(peerId, 'audio') > 20,
      );
      expect(announced().map((frame) => 'peerId' in frame && frame.peerId)).toEqual([peerId, peerId]);
    }
  }
  for (const access of tenants) {
    const { body } = await cluster.gateway(access, 'GET', '/v1/webrtc/rooms');
    expect(body).toMatchObject({ rooms: [{ room_id: 'lobby', participants: 2 }] });
    const { participants } = (await cluster.gateway(access, 'GET', '/v1/webrtc/rooms/lobby/participants')).body as {
      participants: { name: string }[];
    };
    expect(participants.map(({ name }) => name).sort()).toEqual([`${access.name}-1`, `${access.name}-2`]);
  }
  await Promise.all([...pages, ...pairs.flat()].map((peer) => peer.close()));
});

test("one namespace's key opens nothing of another", async () => {
  const stranger = { ...tenant('alpha'), apiKey: tenant('beta').apiKey };
  for (const [method, path] of [
    ['GET', '/v1/webrtc/rooms'],
    ['POST', '/v1/webrtc/turn/credentials'],
    ['DELETE', '/v1/webrtc/rooms?room_id=lobby'],
  ] as const) {
    const { status } = await cluster.gateway(stranger, method, path);
    expect([401, 403]).toContain(status);
  }
  const socket = await SignallingClient.open({ ...cluster.signalling(stranger), room: 'lobby' });
  expect((await socket.closed).code).toBe(SIGNALLING_CLOSE.notAllowed);
});

describe('TURN', () => {
  const credentialsOf = async (access: NamespaceAccess) =>
    (await cluster.gateway(access, 'POST', '/v1/webrtc/turn/credentials')).body as TurnCredentials;

  async function open(credentials: TurnCredentials): Promise<TurnClient> {
    const { username, password, uris } = credentials;
    return await TurnClient.open({ transport: 'udp', server: turnServersOf(uris, 'udp')[0], username, password });
  }

  /** The STUN error code a request is refused with; 0 when it is granted. */
  const codeOf = (request: Promise<unknown>) =>
    request.then(
      () => 0,
      (thrown: unknown) => {
        if (thrown instanceof TurnError) return thrown.code;
        throw thrown;
      },
    );

  test("refuses another namespace's password, a forged one and an expired one", async () => {
    const [alpha, beta] = await Promise.all([credentialsOf(tenant('alpha')), credentialsOf(tenant('beta'))]);
    const expiry = alpha.username.split(':')[0];
    const old = issueTurnCredentials({
      secret: 'no such secret, ever',
      namespace: 'alpha',
      ttlSec: 600,
      uris: alpha.uris,
      nowMs: Date.now(),
    });
    for (const [wrong, code] of [
      [{ ...alpha, password: beta.password }, 401],
      [{ ...alpha, username: `${expiry}:gamma` }, 401],
      [{ ...alpha, username: `${expiry}:nobody` }, 401],
      [{ ...alpha, username: `${Number(expiry) + 9999}:alpha` }, 401],
      [{ ...alpha, username: 'constructor' }, 401],
      [old, 401],
      [alpha, 0],
    ] as const) {
      const client = await open(wrong);
      expect({ username: wrong.username, code: await codeOf(client.allocate()) }).toEqual({
        username: wrong.username,
        code,
      });
      await client.close();
    }
  });

  test('grants the media ports of its own SFUs, and refuses every other peer by permission and by channel', async () => {
    const client = await open(await credentialsOf(tenant('alpha')));
    await client.allocate();
    const own = portBlocksOf(cluster.databaseFile, 'alpha').filter((block) => block.service === 'sfu');
    const other = portBlocksOf(cluster.databaseFile, 'beta').find((block) => block.service === 'sfu');
    let channel = 0x4000;
    const bind = (address: string, port: number) => {
      channel += 1;
      return codeOf(client.channelBind(channel, address, port));
    };

    for (const sfu of own) {
      expect(await codeOf(client.createPermission(sfu.address))).toBe(0);
      expect(await bind(sfu.address, sfu.mediaPorts?.[0] as number)).toBe(0);
      expect(await bind(sfu.address, sfu.mediaPorts?.[1] as number)).toBe(0);
      // The same machine's other ports: its signalling, its controlplane, beyond the block.
      expect(await bind(sfu.address, sfu.signallingPort as number)).toBe(403);
      expect(await bind(sfu.address, 6001)).toBe(403);
      expect(await bind(sfu.address, (sfu.mediaPorts?.[1] as number) + 1)).toBe(403);
      expect(await bind(sfu.address, (sfu.mediaPorts?.[0] as number) - 1)).toBe(403);
    }
    expect(await bind(other?.address as string, other?.mediaPorts?.[0] as number)).toBe(403);

    const refused = [
      '127.0.0.1',
      '169.254.169.254',
      '10.0.0.1',
      '10.255.255.255',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:169.254.169.254',
      `::ffff:${own[0]?.address}`,
      '0.0.0.0',
      '::',
      '192.168.0.1',
      '100.64.0.1',
      '224.0.0.1',
      '255.255.255.255',
      'fe80::1',
      'fd00::1',
      '64:ff9b::7f00:1',
      '8.8.8.8',
      cluster.node(1).publicIp,
      `${cluster.prefix}.0.9`,
    ];
    for (const address of refused) {
      const code = await codeOf(client.createPermission(address));
      // 443: the peer's address family is not the allocation's (RFC 8656 section 9.2).
      expect(code === 403 || (address.includes(':') && code === 443), `${address}: ${code}`).toBe(true);
      const bound = await bind(address, 20_000);
      expect(bound === 403 || (address.includes(':') && bound === 443), `${address} by channel: ${bound}`).toBe(true);
    }
    // One bad address among good ones spoils the whole request.
    expect(await codeOf(client.createPermission(own[0]?.address as string, '127.0.0.1'))).toBe(403);
    await client.refresh(0);
    await client.close();
  });

  test('relays inside the namespace’s own block on the WireGuard address', async () => {
    const client = await open(await credentialsOf(tenant('gamma')));
    const { relayed } = await client.allocate();
    const block = portBlocksOf(cluster.databaseFile, 'gamma').find(
      (each) => each.service === 'turn' && each.address === relayed.address,
    );
    expect(relayed.port).toBeGreaterThanOrEqual(block?.relayPorts?.[0] as number);
    expect(relayed.port).toBeLessThanOrEqual(block?.relayPorts?.[1] as number);
    await client.refresh(0);
    await client.close();
  });
});
