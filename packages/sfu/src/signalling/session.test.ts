import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { sfuControlKey, signTicket, VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import {
  type ServerFrameOf,
  type SfuTicket,
  SIGNALLING_CLOSE,
  SIGNALLING_DESCRIPTION_MAX_BYTES,
  SIGNALLING_FRAME_MAX_BYTES,
  serverFrameSchema,
} from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { Rooms } from '../room/rooms.ts';
import { type RunningSfu, startSfu, TEST_SECRET } from '../testing/running-sfu.ts';
import { TestPeer, until } from '../testing/test-peer.ts';
import { dialectOf } from './dialects.ts';
import { Session } from './session.ts';

/** What a refused socket was told before it was closed. */
async function refusalOf(socket: WebSocket): Promise<{ code: number; error: string | undefined }> {
  const errors: string[] = [];
  socket.on('message', (data: Buffer) => {
    const frame = serverFrameSchema.parse(JSON.parse(data.toString()));
    if (frame.type === 'error') errors.push(frame.code);
  });
  const [code] = (await once(socket, 'close')) as [number];
  return { code, error: errors[0] };
}

describe('SignallingServer', () => {
  let sfu: RunningSfu;
  beforeEach(async () => {
    sfu = await startSfu();
  });
  afterEach(async () => {
    await sfu.sfu.stop();
  });

  test('a ticket that is missing, forged, expired, of another namespace or another room is refused with 4001', async () => {
    const ticket = {
      ns: 'demo',
      room: 'lobby',
      identity: 'k',
      permissions: { publish: true, subscribe: true, data: true, admin: false },
      maxParticipants: 5,
      maxSpeakers: null,
    };
    const key = sfuControlKey(TEST_SECRET);
    const genuine = signTicket(key, ticket, Date.now());
    const headers = [
      '',
      'nonsense',
      `${genuine.slice(0, -1)}${genuine.endsWith('0') ? '1' : '0'}`,
      signTicket(key, ticket, Date.now() - 31_000),
      signTicket(key, { ...ticket, ns: 'other' }, Date.now()),
      signTicket(sfuControlKey('another secret of another tenant'), ticket, Date.now()),
    ];
    for (const header of headers) {
      const refused = await refusalOf(sfu.connect({}, { header }));
      expect(refused).toEqual({ code: SIGNALLING_CLOSE.badCredential, error: 'unauthorized' });
    }
    expect(await refusalOf(sfu.connect({}, { query: 'elsewhere' }))).toMatchObject({
      code: SIGNALLING_CLOSE.badCredential,
    });
  });

  test('another path is answered 404 before any WebSocket', async () => {
    expect((await sfu.http('GET', '/ws/other')).status).toBe(404);
  });

  test('frames before join, unknown frames and broken JSON are told and do not end the socket', async () => {
    const socket = sfu.connect();
    const peer = new TestPeer(socket);
    await once(socket, 'open');
    peer.send({ type: 'leave' });
    await peer.next('error', ({ code }) => code === 'invalid_state');
    for (const text of ['{', '[]', '"text"', '{"type":"nothing"}', '{"type":"subscribe","trackId":5}', '\u0000']) {
      const before = peer.frames.length;
      socket.send(text);
      await until('an error', () => peer.frames.length > before);
      expect(peer.frames.at(-1)).toMatchObject({ type: 'error', code: 'invalid_message' });
    }
    socket.send(Buffer.from([1, 2, 3]));
    peer.send({ type: 'ping', id: 'still here' });
    await peer.next('pong', ({ id }) => id === 'still here');
    peer.send({ type: 'join' });
    await peer.next('welcome');
    peer.send({ type: 'join' });
    await until(
      'the second join to be refused',
      () => peer.frames.filter((frame) => frame.type === 'error' && frame.code === 'invalid_state').length === 2,
    );
    await peer.end();
  });

  test('a join for another room than the ticket is refused with 4003', async () => {
    const socket = sfu.connect({ room: 'mine' });
    await once(socket, 'open');
    const refused = refusalOf(socket);
    socket.send(JSON.stringify({ type: 'join', room: 'theirs' }));
    expect(await refused).toEqual({ code: SIGNALLING_CLOSE.notAllowed, error: 'room_mismatch' });
  });

  test('a frame over 64 KB is refused, an offer may be 256 KB, more than that ends the socket', async () => {
    const peer = await TestPeer.join(sfu);
    peer.send({ type: 'offer', sdp: `v=0\r\n${'x'.repeat(SIGNALLING_DESCRIPTION_MAX_BYTES - 1_000)}` });
    await peer.next('error', ({ code }) => code === 'invalid_offer');
    peer.send({ type: 'data', data: 'x'.repeat(20_000) });
    await peer.next('error', ({ code }) => code === 'frame_too_large');
    expect(peer.closed).toBeNull();
    peer.send({ type: 'data', data: 'x'.repeat(SIGNALLING_FRAME_MAX_BYTES) });
    const { code } = await until('the end', () => peer.closed);
    expect(code).toBe(SIGNALLING_CLOSE.tooBig);
    const other = await TestPeer.join(sfu);
    other.send({ type: 'offer', sdp: 'x'.repeat(SIGNALLING_DESCRIPTION_MAX_BYTES + 1) });
    expect((await until('the end', () => other.closed)).code).toBe(SIGNALLING_CLOSE.tooBig);
    await peer.end();
    await other.end();
  });

  test('41 negotiation frames at once, or 21 others, are too many: 4008', async () => {
    for (const [frame, burst] of [
      [{ type: 'ice-candidate', candidate: '' }, 40],
      [{ type: 'ping' }, 20],
    ] as const) {
      const peer = await TestPeer.join(sfu);
      for (let i = 0; i < burst + 5; i++) peer.send(frame);
      expect((await until('the end', () => peer.closed)).code).toBe(SIGNALLING_CLOSE.rateLimited);
      await peer.next('error', ({ code }) => code === 'rate_limited');
      await peer.end();
    }
  });

  test.each([
    ['CR and LF', '\r\n'],
    ['CR alone', '\r'],
  ])('an offer counts by its lines, which end with %s: thirty large ones at once are too many', async (_what, end) => {
    const peer = await TestPeer.join(sfu);
    const offer = `v=0${end}${`a=x${end}`.repeat(1_900)}`;
    for (let i = 0; i < 30; i++) peer.send({ type: 'offer', sdp: offer });
    expect((await until('the end', () => peer.closed)).code).toBe(SIGNALLING_CLOSE.rateLimited);
    const read = peer.frames.filter((frame) => frame.type === 'error' && frame.code === 'invalid_offer');
    expect(read.length).toBeGreaterThanOrEqual(10);
    await peer.end();
  });

  test('the orama-envelope dialect wraps every frame and names presence as upstream does', async () => {
    const ann = sfu.connect({}, { protocols: ['orama-envelope'] });
    const frames: { type: string; data: Record<string, unknown> }[] = [];
    ann.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString())));
    await once(ann, 'open');
    expect(ann.protocol).toBe('orama-envelope');
    ann.send(JSON.stringify({ type: 'join', data: { name: 'Ann' } }));
    const welcome = await until('welcome', () => frames.find(({ type }) => type === 'welcome'));
    expect(welcome.data).toMatchObject({ room: 'lobby', resumed: false });
    const bob = await TestPeer.join(sfu, {}, { name: 'Bob' });
    expect(bob.welcome.participants).toMatchObject([{ name: 'Ann' }]);
    expect((await until('the arrival', () => frames.find(({ type }) => type === 'participant-joined'))).data).toEqual({
      peerId: bob.id,
      name: 'Bob',
    });
    bob.send({ type: 'data', data: { hello: 1 } });
    expect((await until('data', () => frames.find(({ type }) => type === 'data'))).data).toEqual({
      from: bob.id,
      data: { hello: 1 },
    });
    ann.send(JSON.stringify({ type: 'data', data: { to: bob.id, data: [2] } }));
    expect(await bob.next('data')).toMatchObject({ from: welcome.data.peerId, data: [2] });
    await bob.end();
    expect((await until('the departure', () => frames.find(({ type }) => type === 'participant-left'))).data).toEqual({
      peerId: bob.id,
      reason: 'left',
    });
    ann.close(1000);
    await once(ann, 'close');
  });
});

describe('Session and the welcome', () => {
  test('a welcome to a room of very many is no reason to cut its reader off, what comes behind it may be', async () => {
    const server = new WebSocketServer({ host: '127.124.0.1', port: 0 });
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const client = new WebSocket(`ws://127.124.0.1:${port}`);
    onTestFinished(() => client.terminate());
    const [[socket]] = (await Promise.all([once(server, 'connection'), once(client, 'open')])) as [
      [WebSocket],
      unknown,
    ];
    // It reads nothing, so that all of it waits here.
    client.pause();
    const text = 'x'.repeat(4_096);
    const participants = Array.from({ length: 4_000 }, (_, i) => ({ peerId: `p${i}`, metadata: { text }, tracks: [] }));
    const welcome = { type: 'welcome', participants } as unknown as ServerFrameOf<'welcome'>;
    const session = new Session({
      ...{ socket, dialect: dialectOf(''), clock: new VirtualClock(), logger: silentLogger },
      ...{ ticket: { room: 'lobby' } as SfuTicket, rooms: {} as Rooms },
    });
    session.send(welcome);
    session.send({ type: 'pong' });
    expect([socket.readyState, socket.bufferedAmount > 8 * 1024 * 1024]).toEqual([WebSocket.OPEN, true]);
    for (let i = 0; i < 1_000; i++) session.send({ type: 'data', from: 'p1', data: text });
    expect(socket.readyState).toBe(WebSocket.CLOSING);
  });
});

describe('Session and time', () => {
  test('a socket that never joins is closed after ten seconds, one that shows no life after thirty', async () => {
    const clock = new VirtualClock(Date.now());
    const sfu = await startSfu({ drainTimeoutMs: 1 }, clock);
    const waiting = sfu.connect();
    await once(waiting, 'open');
    const refused = refusalOf(waiting);
    const joined = await TestPeer.join(sfu);
    clock.advance(10_000);
    expect(await refused).toMatchObject({ error: 'invalid_join' });
    // The joined client answers the pings of the server, at ten and twenty seconds.
    clock.advance(9_000);
    joined.send({ type: 'ping', id: 2 });
    await joined.next('pong', ({ id }) => id === 2);
    expect(joined.closed).toBeNull();
    joined.socket.pause();
    clock.advance(40_000);
    joined.socket.resume();
    await until('the silent socket to end', () => joined.closed);
    await joined.end();
    const stopped = sfu.sfu.stop();
    clock.advance(20_000);
    await stopped;
  });
});
