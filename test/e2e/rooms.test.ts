import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, type ParticipantList, type Room } from '@orama/protocol';
import { LocalCluster, type NamespaceAccess, SignallingClient, SyntheticPeer, UNITS, waitFor } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** `orama room` against a local cluster, with peers that send. */
let cluster: LocalCluster;
let access: NamespaceAccess;
const NS = ['--namespace', 'stage'];

beforeAll(async () => {
  cluster = await LocalCluster.start({ prefix: 45 });
  access = await cluster.createEnabled('stage');
});
afterAll(() => cluster?.stop());

const show = (room: string) => cluster.json<{ room: Room } & ParticipantList>('room', 'show', room, ...NS);

test('a room is created once with its settings, and others of the same name are a conflict', async () => {
  const settings = ['--max-participants', '2', '--max-speakers', '1', '--metadata', '{"topic":"launch"}'];
  const created = await cluster.json<Room>('room', 'create', 'lobby', ...settings, ...NS);
  const expected = { room_id: 'lobby', max_participants: 2, max_speakers: 1, metadata: { topic: 'launch' } };
  expect(created).toMatchObject(expected);
  expect(await cluster.json('room', 'create', 'lobby', ...settings, ...NS)).toEqual(created);
  const other = await cluster.run('room', 'create', 'lobby', ...NS);
  expect(other.code).toBe(EXIT.conflict);
  expect(other.stderr).toContain('ROOM_EXISTS');
  expect((await cluster.json<{ rooms: Room[] }>('room', 'list', ...NS)).rooms).toEqual([
    expect.objectContaining(expected),
  ]);
  const client = await SignallingClient.open({ ...cluster.signalling(access), room: 'lobby' });
  client.send({ type: 'join' });
  expect(await client.next('welcome')).toMatchObject({ roomMetadata: { topic: 'launch' } });
  await client.close();
});

test('a room shows who is in it; a peer is muted, let be heard again, and removed', async () => {
  const target = { ...cluster.signalling(access), room: 'talk' };
  const listener = await SignallingClient.open(target);
  listener.send({ type: 'join', name: 'Bob' });
  await listener.next('welcome');
  const ada = await SyntheticPeer.join({
    ...{ ...target, name: 'Ada', transport: 'udp', localAddress: `${cluster.prefix}.9.1` },
  });
  const { room, participants } = await show('talk');
  expect(room).toMatchObject({ room_id: 'talk', participants: 2, tracks: 2 });
  expect(participants.map(({ name }) => name).sort()).toEqual(['Ada', 'Bob']);
  expect((await cluster.orama('room', 'show', 'talk', ...NS)).stdout).toMatch(/Ada +microphone, camera/);

  const muted = await cluster.json('room', 'mute', 'talk', ada.peerId, '--kind', 'audio', ...NS);
  expect(muted).toMatchObject({ muted: true, kind: 'audio', affected: 1 });
  await listener.next('track-updated', { accept: (frame) => frame.muted && frame.forced === true });
  const lifted = await cluster.json('room', 'mute', 'talk', ada.peerId, '--lift', ...NS);
  expect(lifted).toMatchObject({ muted: false, affected: 1 });
  await listener.next('track-updated', { accept: (frame) => !frame.muted });

  await cluster.orama('room', 'kick', 'talk', ada.peerId, ...NS);
  await ada.signalling.next('kicked');
  await listener.next('peer-left', { accept: ({ peerId, reason }) => peerId === ada.peerId && reason === 'kicked' });
  await cluster.orama('room', 'delete', 'talk', ...NS);
  await listener.next('room-closed');
  await Promise.all([ada.close(), listener.close()]);
});

test('what does not exist, may not be, or does not answer is told by exit code and next step', async () => {
  const keyFile = join(cluster.dataDir, 'keys', 'stage.key');
  const wrongKey = join(cluster.dataDir, 'wrong.key');
  writeFileSync(wrongKey, `ok_${'x'.repeat(40)}\n`);
  chmodSync(wrongKey, 0o600);
  const { gateway } = cluster.node(1);
  const refusals = [
    [['show', 'nowhere', ...NS], EXIT.notFound, 'ROOM_NOT_FOUND'],
    [['delete', 'nowhere', ...NS], EXIT.notFound, 'ROOM_NOT_FOUND'],
    [['kick', 'lobby', 'p_nobody', ...NS], EXIT.notFound, 'PEER_NOT_FOUND'],
    [['mute', 'lobby', 'p_nobody', ...NS], EXIT.notFound, 'PEER_NOT_FOUND'],
    [['list', '--namespace', 'nobody'], EXIT.notFound, 'NAMESPACE_NOT_FOUND'],
    [['list'], EXIT.usage, '--namespace'],
    [['list', '--gateway', gateway], EXIT.usage, '--api-key-file'],
    [['list', '--gateway', gateway, '--api-key-file', wrongKey], EXIT.refused, 'UNAUTHORIZED'],
    [['list', '--gateway', `http://${cluster.prefix}.0.9:1`, '--api-key-file', keyFile], EXIT.unreachable, 'next: '],
    [['create', 'with space', ...NS], EXIT.usage, 'without spaces'],
    [['create', 'r', '--max-speakers', '101', ...NS], EXIT.usage, 'from 1 to 100'],
    [['create', 'r', '--metadata', '[]', ...NS], EXIT.usage, 'JSON object'],
  ] as const;
  const results = await Promise.all(refusals.map(([args]) => cluster.run('room', ...args)));
  for (const [i, [args, code, says]] of refusals.entries()) {
    expect({ args, code: results[i]?.code }).toEqual({ args, code });
    expect(results[i]?.stderr).toContain(says);
  }
  const { rooms } = await cluster.json<{ rooms: Room[] }>(
    ...['room', 'list', '--gateway', gateway, '--api-key-file', keyFile],
  );
  expect(rooms.map(({ room_id }) => room_id)).toEqual(['lobby']);
});

test('a room that is spread is served by every node; everybody gets everybody, also when one of the nodes dies', async () => {
  await cluster.orama('room', 'create', 'wide', '--spread', ...NS);
  const peers: SyntheticPeer[] = [];
  try {
    // Each gateway looks at the load of the SFUs for itself when somebody comes to it.
    for (const number of [1, 2, 3])
      peers.push(
        await SyntheticPeer.join({
          ...{ ...cluster.signalling(access, number), room: 'wide', name: `peer ${number}`, transport: 'udp' },
          localAddress: `${cluster.prefix}.9.${10 + number}`,
        }),
      );
    const { room, participants } = await show('wide');
    expect(room.nodes.map(({ node }) => node).sort()).toEqual(cluster.state.nodes.map(({ id }) => id).sort());
    expect((await cluster.orama('room', 'show', 'wide', ...NS)).stdout).toMatch(/served by .*\(1\)/);
    const hearEachOther = (all: SyntheticPeer[]) => () =>
      all.every((peer) =>
        all.every(
          ({ peerId }) =>
            peerId === peer.peerId ||
            (['audio', 'video'] as const).every((kind) => peer.receivedOf(peerId, kind).length > 0),
        ),
      );
    await waitFor('everybody to get everybody', hearEachOther(peers), { timeoutMs: 20_000 });

    const gone = participants.find(({ node }) => node !== room.node);
    const left = peers.filter(({ peerId }) =>
      participants.some((one) => one.peerId === peerId && one.node !== gone?.node),
    );
    await cluster.killService(cluster.numberOf(gone?.node ?? ''), UNITS.sfu('stage'));
    for (const { signalling } of left)
      await signalling.next('peer-left', { accept: ({ peerId }) => peerId === gone?.peerId });
    const heard = () => left.map((peer) => left.map(({ peerId }) => peer.packetsOf(peerId, 'audio')));
    const before = heard();
    await waitFor('the others to go on', () =>
      heard().every((row, i) => row.every((count, j) => i === j || count > (before[i]?.[j] ?? 0))),
    );
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
});
