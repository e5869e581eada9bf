import { participantListSchema, roomListSchema } from '@orama/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiKeyOf, BASE_DOMAIN, Bed, type RunningGateway } from '../../testing/bed.ts';
import { call, TestClient } from '../../testing/client.ts';

const ROOMS = '/v1/webrtc/rooms';
const peer = { peerId: 'p1', name: 'Ada', tracks: [], identity: 'key:key_demo', node: 'node-1' };

describe('rooms', () => {
  let bed: Bed;
  let gateway: RunningGateway;

  beforeAll(async () => {
    bed = await Bed.open(['demo', 'other']);
    gateway = await bed.startGateway();
  });
  afterAll(() => bed.close());

  /** Joins a room and returns the stand-in that holds it, which then says that `peer` is inside. */
  async function populate(room: string) {
    const client = new TestClient(gateway, { query: { room, api_key: apiKeyOf('demo') } });
    const { node } = await client.frame(0);
    const sfu = bed.sfuOn('demo', node);
    sfu.rooms.push({ room, participants: [peer], tracks: 2 });
    return { client, sfu };
  }

  it('POST creates a room that is on no node yet, and can be repeated', async () => {
    const body = { room_id: 'made', max_participants: 7, spread: true, metadata: { a: 1, b: { c: 2, d: 3 } } };
    const first = await call(gateway, 'POST', ROOMS, { body });
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({ room_id: 'made', node: null, spread: true, nodes: [], max_participants: 7 });
    const metadata = { b: { d: 3, c: 2 }, a: 1 };
    const again = await call(gateway, 'POST', ROOMS, { body: { ...body, metadata } });
    expect([again.status, again.body]).toEqual([201, first.body]);
  });

  it('POST answers 409 when the room exists with other settings', async () => {
    await call(gateway, 'POST', ROOMS, { body: { room_id: 'fixed', max_participants: 7 } });
    const answer = await call(gateway, 'POST', ROOMS, { body: { room_id: 'fixed', max_participants: 8 } });
    expect([answer.status, answer.body.error.code]).toEqual([409, 'ROOM_EXISTS']);
  });

  it.each([{ max_speakers: 3 }, { spread: true }, { metadata: { topic: 'other' } }, { max_participants: 9 }, {}])(
    'POST answers 409 for a room made with two speakers when %j is asked for',
    async (settings) => {
      await call(gateway, 'POST', ROOMS, { body: { room_id: 'podium', max_speakers: 2 } });
      const answer = await call(gateway, 'POST', ROOMS, { body: { room_id: 'podium', ...settings } });
      expect([answer.status, answer.body.error.code]).toEqual([409, 'ROOM_EXISTS']);
    },
  );

  it.each([
    [{ max_participants: 0 }, 'max_participants'],
    [{ max_participants: 1001 }, 'max_participants'],
    [{ max_speakers: 0 }, 'max_speakers'],
    [{ max_speakers: 101 }, 'max_speakers'],
    [{ max_speakers: 1.5 }, 'max_speakers'],
    [{ metadata: { text: 'x'.repeat(4096) } }, 'metadata'],
    [{ colour: 'red' }, 'colour'],
  ])('POST refuses %j and names the field', async (settings, field) => {
    const answer = await call(gateway, 'POST', ROOMS, { body: { room_id: 'refused', ...settings } });
    expect([answer.status, answer.body.error.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(answer.body.error.message).toContain(field);
    expect(await bed.store.rooms.get('demo', 'refused')).toBeNull();
  });

  it('carries the settings of the room and what the caller may do to the SFU in the ticket', async () => {
    const body = { room_id: 'small', max_participants: 2, max_speakers: 1, metadata: { topic: 'x' } };
    expect((await call(gateway, 'POST', ROOMS, { body })).body).toMatchObject({ max_speakers: 1 });
    const { client, sfu } = await populate('small');
    expect(sfu.arrivals.at(-1)?.ticket).toMatchObject({
      ns: 'demo',
      room: 'small',
      maxParticipants: 2,
      maxSpeakers: 1,
      roomMetadata: { topic: 'x' },
      permissions: { publish: true, subscribe: true, data: true, admin: true },
    });
    client.socket.terminate();
  });

  it('GET lists the rooms of the namespace with what the SFUs say', async () => {
    const { client, sfu } = await populate('listed');
    const { rooms } = roomListSchema.parse((await call(gateway, 'GET', ROOMS)).body);
    expect(rooms.find((room) => room.room_id === 'listed')).toMatchObject({
      node: sfu.node,
      participants: 1,
      tracks: 2,
      nodes: [{ node: 'node-1', participants: 1 }],
    });
    const others = await call(gateway, 'GET', ROOMS, { host: `ns-other.${BASE_DOMAIN}`, key: apiKeyOf('other') });
    expect(others.body).toEqual({ rooms: [] });
    client.socket.terminate();
  });

  it('GET participants lists who is in a room; DELETE removes a peer; POST mute mutes one', async () => {
    const { client, sfu } = await populate('full/of%people?');
    const path = `${ROOMS}/${encodeURIComponent('full/of%people?')}/participants`;
    const list = participantListSchema.strict().parse((await call(gateway, 'GET', path)).body);
    expect(list.participants).toEqual([{ peerId: 'p1', name: 'Ada', node: 'node-1', tracks: [] }]);

    const muted = await call(gateway, 'POST', `${path}/p1/mute`, { body: { muted: true, kind: 'audio' } });
    expect([muted.status, muted.body]).toEqual([200, { affected: 1 }]);
    expect(JSON.parse(sfu.commands.at(-1)?.body ?? '')).toEqual({
      room: 'full/of%people?',
      peerId: 'p1',
      muted: true,
      kind: 'audio',
    });
    expect((await call(gateway, 'DELETE', `${path}/p1`)).status).toBe(204);
    expect(sfu.commands.at(-1)).toMatchObject({ method: 'POST', target: '/rooms/kick' });

    for (const answer of [
      await call(gateway, 'DELETE', `${path}/nobody`),
      await call(gateway, 'POST', `${path}/nobody/mute`, { body: { muted: true } }),
    ]) {
      expect([answer.status, answer.body.error.code]).toEqual([404, 'PEER_NOT_FOUND']);
    }
    expect((await call(gateway, 'GET', `${ROOMS}/nowhere/participants`)).body.error.code).toBe('ROOM_NOT_FOUND');
    client.socket.terminate();
  });

  it('DELETE closes the room at its SFU and removes its row; a second one answers 404', async () => {
    const { client, sfu } = await populate('closing');
    expect((await call(gateway, 'DELETE', `${ROOMS}?room_id=closing`)).status).toBe(204);
    expect(sfu.rooms.some((room) => room.room === 'closing')).toBe(false);
    expect(await bed.store.rooms.get('demo', 'closing')).toBeNull();
    const again = await call(gateway, 'DELETE', `${ROOMS}?room_id=closing`);
    expect([again.status, again.body.error.code]).toEqual([404, 'ROOM_NOT_FOUND']);
    expect((await call(gateway, 'DELETE', ROOMS)).status).toBe(400);
    client.socket.terminate();
  });

  it('another namespace can neither see nor close the room', async () => {
    await call(gateway, 'POST', ROOMS, { body: { room_id: 'private' } });
    const other = { host: `ns-other.${BASE_DOMAIN}`, key: apiKeyOf('other') };
    expect((await call(gateway, 'DELETE', `${ROOMS}?room_id=private`, other)).status).toBe(404);
    expect(await bed.store.rooms.get('demo', 'private')).not.toBeNull();
  });

  it('a dead SFU does not fail the list, nor the closing of its rooms', async () => {
    const { client, sfu } = await populate('orphan');
    const closed = client.closed;
    await sfu.kill();
    await closed;
    const { rooms } = roomListSchema.parse((await call(gateway, 'GET', ROOMS)).body);
    expect(rooms.find((room) => room.room_id === 'orphan')).toMatchObject({ node: sfu.node, tracks: 0 });
    expect((await call(gateway, 'DELETE', `${ROOMS}?room_id=orphan`)).status).toBe(204);
    await sfu.start();
  });

  it('leaves no row behind when WebRTC is disabled while somebody joins', async () => {
    const before = await bed.store.rooms.listOf('other');
    await bed.disableWebrtc('other');
    const claimed = await bed.store.rooms.claim({
      namespace: 'other',
      roomId: 'late',
      place: { nodeId: 'node-1', internalIp: '127.84.0.1', signalingPort: 30_000 },
      seenGeneration: null,
      nowMs: Date.now(),
    });
    expect([before, claimed, await bed.store.rooms.listOf('other')]).toEqual([[], null, []]);
  });
});
