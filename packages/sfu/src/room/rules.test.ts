import { DATA_MAX_BYTES, METADATA_MAX_BYTES, type RoomPermissions } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { TestPeer, until } from '../testing/test-peer.ts';

const MICROPHONE = { mid: '0', kind: 'audio', ssrc: 1_000_001 } as const;
const ALL: RoomPermissions = { publish: true, subscribe: true, data: true };

describe('what a room allows', () => {
  let sfu: RunningSfu;
  let peers: TestPeer[] = [];
  const join = async (...args: Parameters<typeof TestPeer.join> extends [RunningSfu, ...infer R] ? R : never) => {
    const peer = await TestPeer.join(sfu, ...args);
    peers.push(peer);
    return peer;
  };
  beforeEach(async () => {
    sfu = await startSfu();
  });
  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.end()));
    peers = [];
    await sfu.sfu.stop();
  });

  test('welcome tells what the credential permits and what the owner wrote about the room', async () => {
    const permissions = { ...ALL, publish: false };
    const peer = await join({ permissions: { ...permissions, admin: false }, roomMetadata: { topic: 'planning' } });
    expect(peer.welcome.permissions).toEqual(permissions);
    expect(peer.welcome.roomMetadata).toEqual({ topic: 'planning' });
    expect((await join()).welcome.roomMetadata).toBeUndefined();
  });

  test('a credential without the permission to send data is held to it, and still receives', async () => {
    const talker = await join();
    const listener = await join({ permissions: { ...ALL, data: false, admin: false } });
    listener.send({ type: 'data', data: 'not allowed' });
    await listener.next('error', ({ code }) => code === 'forbidden');
    talker.send({ type: 'data', data: 'hello' });
    await listener.next('data', ({ data }) => data === 'hello');
    expect(talker.frames.some(({ type }) => type === 'data')).toBe(false);
  });

  test('peer-state changes name and metadata for those in the room and for those who come later', async () => {
    const viewer = await join();
    const peer = await join({}, { name: 'Ann', metadata: { hand: 'down' } });
    peer.send({ type: 'peer-state', metadata: { hand: 'raised' } });
    const expected = { peerId: peer.id, name: 'Ann', metadata: { hand: 'raised' } };
    for (const each of [viewer, peer]) {
      expect(await each.next('peer-updated')).toEqual({ type: 'peer-updated', ...expected });
    }
    peer.send({ type: 'peer-state', name: 'Anna' });
    await viewer.next('peer-updated', ({ name, metadata }) => name === 'Anna' && metadata?.hand === 'raised');
    const late = await join();
    expect(late.welcome.participants).toContainEqual({ ...expected, name: 'Anna', tracks: [] });
  });

  test('metadata of exactly the limit is taken, one byte more is refused and changes nothing', async () => {
    const ofSize = (bytes: number) => ({ text: 'x'.repeat(bytes - '{"text":""}'.length) });
    const viewer = await join();
    const peer = await join({}, { metadata: ofSize(METADATA_MAX_BYTES) });
    await viewer.next('peer-joined', ({ metadata }) => JSON.stringify(metadata).length === METADATA_MAX_BYTES);
    peer.send({ type: 'peer-state', metadata: ofSize(METADATA_MAX_BYTES + 1) });
    await peer.next('error', ({ code, message }) => code === 'frame_too_large' && message.includes('4096'));
    peer.send({ type: 'peer-state', metadata: { ...ofSize(METADATA_MAX_BYTES), text: 'é'.repeat(2_042) } });
    await peer.next('peer-updated', ({ metadata }) => String(metadata?.text).startsWith('é'));
    expect(viewer.frames.filter(({ type }) => type === 'peer-updated')).toHaveLength(1);
    const refused = new TestPeer(sfu.connect());
    peers.push(refused);
    await until('open', () => refused.socket.readyState === 1);
    refused.send({ type: 'join', metadata: ofSize(METADATA_MAX_BYTES + 1) });
    await refused.next('error', ({ code }) => code === 'invalid_join');
  });

  test('a data frame of exactly the limit arrives, one byte more is refused', async () => {
    const [sender, receiver] = [await join(), await join()];
    sender.send({ type: 'data', data: 'x'.repeat(DATA_MAX_BYTES - 1) });
    await sender.next('error', ({ code }) => code === 'frame_too_large');
    sender.send({ type: 'data', data: 'x'.repeat(DATA_MAX_BYTES - 2) });
    await receiver.next('data', ({ data }) => String(data).length === DATA_MAX_BYTES - 2);
    expect(receiver.frames.filter(({ type }) => type === 'data')).toHaveLength(1);
  });

  test('a forced mute drops RTP at the SFU, cannot be lifted by the client, and ends when it is lifted for it', async () => {
    const viewer = await join();
    const publisher = await join();
    await publisher.publish(MICROPHONE);
    const { mid, trackId } = await viewer.trackOf(publisher.id, 'audio');
    await until('the track to open', () => viewer.connection.track(mid)?.isOpen);
    let sequence = 0;
    const heard = async (what: string) => {
      const before = viewer.packets(mid).length;
      await until(what, () => {
        publisher.sendPacket('0', ++sequence);
        return viewer.packets(mid).length > before;
      });
    };
    await heard('audio before');
    const mute = (muted: boolean) =>
      sfu.http('POST', '/rooms/mute', { room: 'lobby', peerId: publisher.id, muted, kind: 'audio' });
    expect((await mute(true)).body).toEqual({ affected: 1 });
    await publisher.next('track-updated', ({ forced, muted }) => forced === true && muted);
    publisher.send({ type: 'track-state', trackId, muted: false });
    await publisher.next('error', ({ code }) => code === 'forbidden');
    publisher.offer({ ...MICROPHONE, mid: '1', ssrc: 1_000_002 });
    await viewer.next('track-added', (frame) => frame.trackId !== trackId && frame.muted);
    const during = sequence + 1;
    for (let i = 0; i < 20; i++) publisher.sendPacket('0', ++sequence, { payload: Buffer.from('while muted') });
    publisher.send({ type: 'ping', id: during });
    await publisher.next('pong', ({ id }) => id === during);
    await mute(false);
    await viewer.next('track-updated', ({ forced, muted }) => forced !== true && !muted);
    await heard('audio after');
    expect(viewer.packets(mid).some(({ payload }) => payload.equals(Buffer.from('while muted')))).toBe(false);
  });
});
