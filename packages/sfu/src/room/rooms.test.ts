import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { turnPassword, VirtualClock } from '@orama/core';
import { CREDENTIAL_REFRESH_FRACTION, MAX_TRACKS_PER_PEER, RESUME_WINDOW_MS, SIGNALLING_CLOSE } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunningSfu, startSfu, TEST_TURN_SECRET, writeTurn, writeTurnUris } from '../testing/running-sfu.ts';
import { TestPeer, until } from '../testing/test-peer.ts';

const MICROPHONE = { mid: '0', kind: 'audio', ssrc: 1_000_001 } as const;

describe('Rooms', () => {
  let sfu: RunningSfu;
  let peers: TestPeer[] = [];
  const join = async (...args: Parameters<typeof TestPeer.join> extends [RunningSfu, ...infer R] ? R : never) => {
    const peer = await TestPeer.join(sfu, ...args);
    peers.push(peer);
    return peer;
  };
  beforeEach(async () => {
    sfu = await startSfu({ mediaPortEnd: 20_039 });
  });
  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.end()));
    peers = [];
    await sfu.sfu.stop();
  });

  test('a joiner gets credentials right after its welcome, and a peer in another room sees nothing of it', async () => {
    const stranger = await join({ room: 'elsewhere' });
    const peer = await join({}, { name: 'Ann' });
    await peer.next('turn-credentials');
    expect(peer.frames.map(({ type }) => type).slice(0, 2)).toEqual(['welcome', 'turn-credentials']);
    const { username, ttl, uris } = await peer.next('turn-credentials');
    expect(username).toMatch(/^\d{10}:demo$/);
    expect({ ttl, uris }).toEqual({ ttl: 600, uris: ['turn:127.82.1.1:3478?transport=udp'] });
    expect(peer.welcome).toMatchObject({
      room: 'lobby',
      participants: [],
      forceRelay: false,
      limits: { maxParticipants: 100 },
    });
    peer.send({ type: 'data', data: 'for the room' });
    peer.send({ type: 'data', to: stranger.id, data: 'over the wall' });
    await peer.next('error', ({ code }) => code === 'unknown_peer');
    expect(stranger.frames.some(({ type }) => type === 'peer-joined' || type === 'data')).toBe(false);
  });

  test('a full room is refused with 4004, and takes the next when somebody left', async () => {
    const first = await join({ maxParticipants: 1 });
    const second = new TestPeer(sfu.connect({ maxParticipants: 1 }));
    peers.push(second);
    await until('open', () => second.socket.readyState === 1);
    second.send({ type: 'join' });
    await second.next('error', ({ code }) => code === 'room_full');
    expect((await until('the end', () => second.closed)).code).toBe(SIGNALLING_CLOSE.noSuchRoom);
    await first.end();
    await join({ maxParticipants: 1 });
  });

  test('when media ports run out a join is refused with 4013, and nothing crashes', async () => {
    const room = await Promise.all(Array.from({ length: 37 }, () => join()));
    expect(new Set(room.map(({ id }) => id)).size).toBe(37);
    const refused = new TestPeer(sfu.connect());
    peers.push(refused);
    await until('open', () => refused.socket.readyState === 1);
    refused.send({ type: 'join' });
    await refused.next('error', ({ code }) => code === 'capacity');
    expect((await until('the end', () => refused.closed)).code).toBe(SIGNALLING_CLOSE.moved);
  });

  test('a dropped socket resumes as the same peer: nobody saw it leave, and its media went on', async () => {
    const viewer = await join();
    const publisher = await join({}, { name: 'Ann' });
    await publisher.publish(MICROPHONE);
    const { mid, trackId } = await viewer.trackOf(publisher.id, 'audio');
    const { resumeToken } = publisher.welcome;
    publisher.socket.terminate();
    await until('the socket to drop', () => publisher.closed);
    await until('the line', () => viewer.connection.track(mid)?.isOpen);
    let sequence = 0;
    await until('audio without a socket', () => {
      publisher.sendPacket('0', sequence++);
      return viewer.packets(mid).length > 0;
    });

    const stranger = await join({ identity: 'key-2' }, { resume: resumeToken });
    expect(stranger.welcome.resumed).toBe(false);
    const back = await join({}, { resume: resumeToken });
    expect(back.welcome).toMatchObject({ peerId: publisher.id, resumed: true });
    expect(back.welcome.participants.map(({ peerId }) => peerId).sort()).toEqual([viewer.id, stranger.id].sort());
    expect(await back.next('track-added', (frame) => frame.peerId === publisher.id)).toMatchObject({
      trackId,
      mid: '0',
    });
    expect(viewer.frames.some(({ type }) => type === 'peer-left')).toBe(false);
    back.send({ type: 'track-state', trackId, muted: true });
    await viewer.next('track-updated', ({ muted }) => muted);
    publisher.connection.close();
  });

  test('a resumed peer is told what it may have missed: that it was muted, and who speaks', async () => {
    const publisher = await join();
    await publisher.publish(MICROPHONE);
    publisher.socket.terminate();
    await until('the socket to drop', () => publisher.closed);
    const muted = { room: 'lobby', peerId: publisher.id, muted: true };
    expect(await sfu.http('POST', '/rooms/mute', muted)).toMatchObject({ body: { affected: 1 } });
    const back = await join({}, { resume: publisher.welcome.resumeToken });
    await back.next('track-updated', ({ peerId, forced }) => peerId === publisher.id && forced === true);
    expect((await back.next('active-speakers')).speakers).toEqual([]);
    publisher.connection.close();
  });

  test('a second socket with the token replaces the first', async () => {
    const first = await join();
    const second = await join({}, { resume: first.welcome.resumeToken });
    expect(second.welcome).toMatchObject({ peerId: first.id, resumed: true });
    expect(await until('the first to end', () => first.closed)).toMatchObject({ code: 1000 });
    second.send({ type: 'ping' });
    await second.next('pong');
  });

  test('who closes the socket in order, or whose media fails, leaves at once', async () => {
    const viewer = await join();
    const polite = await join();
    polite.socket.close(1001);
    await viewer.next('peer-left', ({ peerId, reason }) => peerId === polite.id && reason === 'left');
    const impostor = await join();
    impostor.connection.sendTrack({
      ...{ mid: '0', kind: 'audio', ssrcs: [9], cname: 'c', streamId: 's', trackId: 't' },
      codec: { name: 'opus', payloadType: 111 },
    });
    // The certificate that its DTLS shows is not the one that its offer names.
    const sdp = impostor.connection.createLocal('offer');
    const [, fingerprint = ''] = /a=fingerprint:sha-256 (\S+)/.exec(sdp) ?? [];
    impostor.send({ type: 'offer', sdp: sdp.replaceAll(fingerprint, [...fingerprint.split(':').reverse()].join(':')) });
    await viewer.next('peer-left', ({ peerId, reason }) => peerId === impostor.id && reason === 'media-failed');
    await impostor.next('error', ({ code }) => code === 'media_failed');
    expect((await until('the end', () => impostor.closed)).code).toBe(SIGNALLING_CLOSE.moved);
  });

  test('where relaying is forced, a peer that connects past TURN is told and removed', async () => {
    const forced = await startSfu({ forceRelay: true });
    const viewer = await TestPeer.join(forced);
    const direct = await TestPeer.join(forced);
    await direct.publish(MICROPHONE);
    await direct.next('error', ({ code, message }) => code === 'forbidden' && message.includes('TURN'));
    await viewer.next('peer-left', ({ peerId }) => peerId === direct.id);
    await Promise.all([viewer.end(), direct.end()]);
    await forced.sfu.stop();
  });

  test('a credential without the permission to publish, or to subscribe, is held to it', async () => {
    const publisher = await join();
    await publisher.publish(MICROPHONE);
    const mute = await join({ permissions: { publish: false, subscribe: true, data: true, admin: false } });
    mute.offer({ ...MICROPHONE, ssrc: 5 });
    await mute.next('error', ({ code }) => code === 'forbidden');
    await mute.trackOf(publisher.id, 'audio');
    const deaf = await join({ permissions: { publish: true, subscribe: false, data: true, admin: false } });
    await deaf.publish({ ...MICROPHONE, ssrc: 6 });
    await publisher.trackOf(deaf.id, 'audio');
    expect(deaf.frames.some((frame) => frame.type === 'track-added' && frame.peerId !== deaf.id)).toBe(false);
    expect(publisher.frames.some((frame) => frame.type === 'track-added' && frame.peerId === mute.id)).toBe(false);
  });

  test('the seventeenth track is refused, the sixteen others are published', async () => {
    const viewer = await join();
    const publisher = await join();
    publisher.offer(
      ...Array.from({ length: MAX_TRACKS_PER_PEER + 1 }, (_, i) => ({ ...MICROPHONE, mid: `${i}`, ssrc: 100 + i })),
    );
    await publisher.next('error', ({ code }) => code === 'too_many_tracks');
    await until(
      'sixteen tracks',
      () => viewer.frames.filter(({ type }) => type === 'track-added').length === MAX_TRACKS_PER_PEER,
    );
  });

  test('room commands list, kick, mute and close; unsigned, replayed and unknown ones are refused', async () => {
    const ann = await join({ identity: 'ann' }, { name: 'Ann' });
    const bob = await join({ identity: 'bob' });
    await ann.publish({ ...MICROPHONE, source: 'microphone' });
    await bob.trackOf(ann.id, 'audio');
    expect(await sfu.http('GET', '/rooms')).toMatchObject({
      status: 200,
      body: {
        rooms: [
          {
            room: 'lobby',
            tracks: 1,
            participants: [
              { peerId: ann.id, name: 'Ann', identity: 'ann', tracks: [{ source: 'microphone' }] },
              { identity: 'bob' },
            ],
          },
        ],
      },
    });
    expect((await sfu.http('GET', '/rooms', undefined, false)).status).toBe(401);
    expect((await sfu.http('POST', '/rooms/kick', { room: 'lobby' })).status).toBe(400);
    expect((await sfu.http('POST', '/rooms/mute', { room: 'lobby', peerId: 'nobody', muted: true })).status).toBe(404);
    expect((await sfu.http('POST', '/rooms/kick', { room: 'nowhere', peerId: 'x', banSec: 0 })).status).toBe(404);

    expect(
      await sfu.http('POST', '/rooms/kick', { room: 'lobby', peerId: bob.id, banSec: 60, reason: 'noise' }),
    ).toEqual({ status: 200, body: { affected: 1 } });
    expect(await bob.next('kicked')).toMatchObject({ reason: 'noise' });
    expect((await until('the end', () => bob.closed)).code).toBe(SIGNALLING_CLOSE.notAllowed);
    await ann.next('peer-left', ({ reason }) => reason === 'kicked');
    const again = new TestPeer(sfu.connect({ identity: 'bob' }));
    peers.push(again);
    await until('open', () => again.socket.readyState === 1);
    again.send({ type: 'join' });
    await again.next('error', ({ code }) => code === 'forbidden');
    await join({ identity: 'bob', room: 'other' });

    expect(await sfu.http('DELETE', '/rooms?room=lobby')).toEqual({ status: 200, body: { affected: 1 } });
    await ann.next('room-closed');
    expect((await until('the end', () => ann.closed)).code).toBe(SIGNALLING_CLOSE.noSuchRoom);
    expect(await sfu.http('DELETE', '/rooms?room=lobby')).toEqual({ status: 200, body: { affected: 0 } });
  });

  test('draining tells everyone, refuses joins with 4013, and ends when the last peer left', async () => {
    const peer = await join();
    const stopped = sfu.sfu.stop();
    expect(await peer.next('server-draining')).toMatchObject({ timeoutMs: 2_000 });
    const late = new TestPeer(sfu.connect());
    peers.push(late);
    await until('open', () => late.socket.readyState === 1);
    late.send({ type: 'join' });
    await late.next('error', ({ code }) => code === 'draining');
    expect((await until('the end', () => late.closed)).code).toBe(SIGNALLING_CLOSE.moved);
    expect((await sfu.http('GET', '/readyz')).status).toBe(503);
    expect((await sfu.http('GET', '/healthz')).body).toMatchObject({ status: 'draining', peers: 1 });
    await peer.end();
    await stopped;
  });
});

describe('Rooms and time', () => {
  test('a dropped peer leaves after fifteen seconds, credentials come again at 80 % of their life, empty rooms end', async () => {
    const clock = new VirtualClock(Date.now());
    const sfu = await startSfu(
      { turn: { uris: ['turn:127.82.1.1:3478'], secret: TEST_TURN_SECRET, credentialTtlSec: 10 }, drainTimeoutMs: 1 },
      clock,
    );
    const viewer = await TestPeer.join(sfu);
    const first = await viewer.next('turn-credentials');
    clock.advance(10_000 * CREDENTIAL_REFRESH_FRACTION);
    const second = await viewer.next('refresh-credentials');
    expect(Number(second.username.split(':')[0])).toBe(Number(first.username.split(':')[0]) + 8);
    clock.advance(10_000 * CREDENTIAL_REFRESH_FRACTION);
    await until('the next', () => viewer.frames.filter(({ type }) => type === 'refresh-credentials').length === 2);

    const dropped = await TestPeer.join(sfu);
    await dropped.drop();
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    clock.advance(RESUME_WINDOW_MS - 1_000);
    viewer.send({ type: 'ping', id: 'before' });
    await viewer.next('pong', ({ id }) => id === 'before');
    expect(viewer.frames.some(({ type }) => type === 'peer-left')).toBe(false);
    clock.advance(1_000);
    await viewer.next('peer-left', ({ peerId, reason }) => peerId === dropped.id && reason === 'timeout');
    await viewer.end();
    const stopped = sfu.sfu.stop();
    clock.advance(20_000);
    await stopped;
  });

  test('credentials name the TURN servers that the configuration file has by then; one that cannot be used changes nothing', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sfu-turn-'));
    const file = join(dir, 'sfu.json');
    const both = ['turn:127.82.1.1:3478?transport=tcp', 'turn:127.82.1.2:3478?transport=udp'];
    writeTurnUris(file, ...both);
    const clock = new VirtualClock(Date.now());
    const sfu = await startSfu(
      { turn: { uris: both, secret: TEST_TURN_SECRET, credentialTtlSec: 10 }, drainTimeoutMs: 1 },
      clock,
      file,
    );
    const viewer = await TestPeer.join(sfu);
    expect((await viewer.next('turn-credentials')).uris).toEqual(both.toReversed());
    const nextUris = async (wanted: string[]) => {
      await until(`credentials with ${wanted}`, () => {
        viewer.send({ type: 'ping' });
        clock.advance(1_000);
        const pushed = viewer.frames.findLast((frame) => frame.type === 'refresh-credentials');
        return pushed && String(pushed.uris) === String(wanted);
      });
    };
    const [tcp = '', udp = ''] = both;
    writeTurnUris(file, udp);
    await nextUris([udp]);
    writeFileSync(file, '{"turn": {"uris": ["turn:127.82.1.9:3478"]');
    const before = viewer.frames.length;
    await until('another push', () => {
      viewer.send({ type: 'ping' });
      clock.advance(1_000);
      return viewer.frames.slice(before).some(({ type }) => type === 'refresh-credentials');
    });
    await nextUris([udp]);
    writeTurnUris(file, tcp);
    await nextUris([tcp]);
    await viewer.end();
    const stopped = sfu.sfu.stop();
    clock.advance(20_000);
    await stopped;
    rmSync(dir, { recursive: true });
  });

  test('credentials are made of the TURN secret that the configuration file has by then, and /healthz says its generation', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sfu-turn-'));
    const file = join(dir, 'sfu.json');
    const uris = ['turn:127.82.1.1:3478?transport=udp'];
    writeTurnUris(file, ...uris);
    const clock = new VirtualClock(Date.now());
    const sfu = await startSfu({ turn: { uris, secret: TEST_TURN_SECRET, credentialTtlSec: 10 } }, clock, file);
    const viewer = await TestPeer.join(sfu);
    const isOf = (secret: string, { username, password }: { username: string; password: string }) =>
      password === turnPassword(secret, username);
    expect(isOf(TEST_TURN_SECRET, await viewer.next('turn-credentials'))).toBe(true);
    writeTurn(file, uris, 'another secret of the tests', 7);
    await until('credentials of the other secret', () => {
      viewer.send({ type: 'ping' });
      clock.advance(1_000);
      const pushed = viewer.frames.findLast((frame) => frame.type === 'refresh-credentials');
      return pushed && isOf('another secret of the tests', pushed);
    });
    expect((await sfu.http('GET', '/healthz')).body).toMatchObject({ generation: 7, peers: 1 });
    // What gateways sign is not made of it.
    expect((await sfu.http('GET', '/rooms')).status).toBe(200);
    await viewer.end();
    const stopped = sfu.sfu.stop();
    clock.advance(20_000);
    await stopped;
    rmSync(dir, { recursive: true });
  });
});
