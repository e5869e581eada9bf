import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { VirtualClock } from '@orama/core';
import { PEER_SILENCE_MS, SIGNALLING_DESCRIPTION_MAX_BYTES } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { apiKeyOf, BASE_DOMAIN, Bed, type RunningGateway } from '../../testing/bed.ts';
import { call, TestClient } from '../../testing/client.ts';

/** The HTTP answer that refused an upgrade. */
function refusedUpgrade(url: string): Promise<{ status: number | undefined; retryAfter: string | undefined }> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.on('unexpected-response', (_request, response) => {
      resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'] });
      response.destroy();
    });
    socket.on('error', () => {});
    socket.on('open', () => reject(new Error('the upgrade was made')));
  });
}

const WAIT = { timeout: 5_000, interval: 10 };
const DEMO_HOST = `ns-demo.${BASE_DOMAIN}`;
const key = apiKeyOf('demo');

describe('GET /v1/webrtc/signal', () => {
  let bed: Bed;
  let gateway: RunningGateway;

  beforeEach(async () => {
    bed = await Bed.open(['demo', 'other']);
    gateway = await bed.startGateway();
  });
  afterEach(() => bed.close());

  const join = (room: string, at = gateway) => new TestClient(at, { query: { room, api_key: key } });
  /** The stand-in that said hello to a client, with that client's arrival. */
  async function seatOf(client: TestClient) {
    const hello = await client.frame(0);
    const sfu = bed.sfuOn('demo', hello.node);
    const arrival = sfu.arrivals.findLast((each) => each.ticket.room === hello.room);
    if (!arrival) throw new Error('nobody arrived');
    return { sfu, arrival };
  }

  describe('credentials', () => {
    it.each([
      ['no credential', { room: 'r' }, DEMO_HOST, 'unauthorized', 4001],
      ['an unknown key', { room: 'r', api_key: 'ok_unknown_0123456789abcdef' }, DEMO_HOST, 'unauthorized', 4001],
      ['a token', { room: 'r', token: 'a.b.c' }, DEMO_HOST, 'unauthorized', 4001],
      ['a key of another namespace', { room: 'r', api_key: apiKeyOf('other') }, DEMO_HOST, 'forbidden', 4003],
      ['a room id with a space', { room: 'a b', api_key: key }, DEMO_HOST, 'invalid_join', 4004],
    ])('tells %s after the upgrade, then closes', async (_what, query, host, code, close) => {
      const client = new TestClient(gateway, { host, query: query as unknown as Record<string, string> });
      expect(await client.frame(0)).toMatchObject({ type: 'error', code });
      expect(await client.closed).toEqual({ code: close, reason: code });
    });

    it('takes the key from a header as well', async () => {
      const client = new TestClient(gateway, { query: { room: 'r' }, headers: { authorization: `ApiKey ${key}` } });
      expect(await client.frame(0)).toMatchObject({ type: 'hello', room: 'r' });
    });

    it('closes 4003 with webrtc_not_enabled while WebRTC is off', async () => {
      await bed.disableWebrtc('demo');
      const client = join('r');
      expect(await client.frame(0)).toMatchObject({ type: 'error', code: 'webrtc_not_enabled' });
      expect((await client.closed).code).toBe(4003);
    });

    it('ends the sessions of a key that is revoked', async () => {
      const clock = new VirtualClock(Date.now());
      const own = await bed.startGateway({ clock });
      const client = join('r', own);
      const { arrival } = await seatOf(client);
      await bed.revokeKey('demo');
      clock.advance(2_000);
      expect(await client.frame(1)).toMatchObject({ type: 'error', code: 'unauthorized' });
      expect((await client.closed).code).toBe(4001);
      expect(await arrival.closed).toBe(1000);
    });

    it('speaks the enveloped dialect to who asked for it, and asks the SFU for it', async () => {
      const refused = new TestClient(gateway, { query: { room: 'r' }, protocols: ['orama-envelope'] });
      expect(await refused.frame(0)).toMatchObject({ type: 'error', data: { code: 'unauthorized' } });
      const client = new TestClient(gateway, { query: { room: 'r', api_key: key }, protocols: ['orama-envelope'] });
      const { arrival } = await seatOf(client);
      expect([client.socket.protocol, arrival.socket.protocol]).toEqual(['orama-envelope', 'orama-envelope']);
    });
  });

  describe('before the upgrade', () => {
    it('answers 429 with Retry-After above the rate of a source', async () => {
      const own = await bed.startGateway({ config: { limits: { connectsPerSource: { burst: 2, perSec: 0.001 } } } });
      await join('r', own).frame(0);
      await join('r', own).frame(0);
      const url = `${own.url.replace('http', 'ws')}/v1/webrtc/signal?room=r&api_key=${key}`;
      expect(await refusedUpgrade(url)).toEqual({ status: 429, retryAfter: '10' });
    });

    it('answers 429 above the sockets of a source, and counts only those that are open', async () => {
      const own = await bed.startGateway({ config: { limits: { socketsPerSource: 1 } } });
      const first = join('r', own);
      await first.frame(0);
      const url = `${own.url.replace('http', 'ws')}/v1/webrtc/signal?room=r&api_key=${key}`;
      expect((await refusedUpgrade(url)).status).toBe(429);
      first.socket.close();
      await vi.waitFor(() => join('r', own).frame(0), WAIT);
    });

    it('answers 404 to WebSockets anywhere else', async () => {
      expect((await refusedUpgrade(`${gateway.url.replace('http', 'ws')}/elsewhere?api_key=${key}`)).status).toBe(404);
    });
  });

  describe('the join frame', () => {
    const open = (at = gateway) => new TestClient(at, { query: { api_key: key } });

    it('names the room when the query does not, and reaches the SFU with what follows it, in order', async () => {
      const client = open();
      client.socket.once('open', () => {
        client.send({ type: 'join', room: 'from-frame' });
        for (let n = 0; n < 50; n++) client.send({ n });
      });
      const { arrival } = await seatOf(client);
      expect(arrival.ticket.room).toBe('from-frame');
      await vi.waitFor(() => expect(arrival.received).toHaveLength(51), WAIT);
      const frames = arrival.received.map(({ text }) => JSON.parse(text));
      expect(frames).toEqual([{ type: 'join', room: 'from-frame' }, ...Array.from({ length: 50 }, (_, n) => ({ n }))]);
    });

    it.each([
      ['text that is not JSON', 'join', 'invalid_message', 1002],
      ['another frame', '{"type":"offer","sdp":""}', 'invalid_message', 1002],
      ['a join without a room', '{"type":"join"}', 'invalid_join', 1002],
      ['more than 5 KB', `{"type":"join","room":"r","pad":"${'x'.repeat(5_200)}"}`, 'frame_too_large', 1009],
      ['binary', Buffer.from('{"type":"join","room":"r"}'), 'invalid_message', 1002],
    ])('is refused when it is %s', async (_what, frame, code, close) => {
      const client = open();
      client.socket.once('open', () => client.send(frame));
      expect(await client.frame(0)).toMatchObject({ type: 'error', code });
      expect((await client.closed).code).toBe(close);
    });

    it('must come within ten seconds', async () => {
      const clock = new VirtualClock(Date.now());
      const own = await bed.startGateway({ clock });
      const idle = clock.pending;
      const client = open(own);
      await vi.waitFor(() => expect(clock.pending).toBe(idle + 1), WAIT);
      clock.advance(9_999);
      expect(client.frames).toEqual([]);
      clock.advance(1);
      expect(await client.frame(0)).toMatchObject({ type: 'error', code: 'invalid_join' });
      expect((await client.closed).code).toBe(1002);
    });
  });

  describe('the pipe', () => {
    it('carries a ticket that says who joins, and frames both ways unchanged', async () => {
      const client = join('r');
      const { arrival } = await seatOf(client);
      expect(arrival.ticket).toMatchObject({
        ns: 'demo',
        room: 'r',
        identity: 'key:key_demo',
        permissions: { publish: true, subscribe: true, data: true, admin: true },
        maxParticipants: 100,
      });
      const text = JSON.stringify({ type: 'offer', sdp: 'ü'.repeat(50_000) });
      client.send(text);
      client.send(Buffer.from([1, 2, 3]));
      arrival.socket.send(text);
      await vi.waitFor(() => expect(arrival.received).toHaveLength(2), WAIT);
      expect(arrival.received[0]).toEqual({ text, isBinary: false });
      expect(arrival.received[1]?.isBinary).toBe(true);
      expect(await client.frame(1)).toEqual(JSON.parse(text));
    });

    it('closes 1009 on a frame above the limit, and serves the others on', async () => {
      const [large, other] = [join('r'), join('r')];
      await seatOf(large);
      const { arrival } = await seatOf(other);
      large.send('x'.repeat(SIGNALLING_DESCRIPTION_MAX_BYTES + 1));
      expect((await large.closed).code).toBe(1009);
      other.send({ still: 'here' });
      await vi.waitFor(() => expect(arrival.received).toHaveLength(1), WAIT);
    });

    it('survives bytes that are not WebSocket frames', async () => {
      const client = join('r');
      await seatOf(client);
      // biome-ignore lint/complexity/useLiteralKeys: the raw socket is private to ws
      const raw = (client.socket as unknown as Record<string, { write(bytes: Buffer): void }>)['_socket'];
      raw?.write(randomBytes(4_096));
      await client.closed;
      expect((await join('r').frame(0)).type).toBe('hello');
    });

    it('passes close codes on in both directions', async () => {
      const leaving = join('r');
      const first = await seatOf(leaving);
      leaving.socket.close(1000, 'bye');
      expect(await first.arrival.closed).toBe(1000);
      const kicked = join('r');
      const second = await seatOf(kicked);
      second.arrival.socket.close(4003, 'removed');
      expect(await kicked.closed).toEqual({ code: 4003, reason: 'removed' });
    });

    it('shows the SFU a lost client as a lost network, so that its media is kept', async () => {
      const client = join('r');
      const { arrival } = await seatOf(client);
      client.socket.terminate();
      expect(await arrival.closed).toBe(1006);
    });

    it('ends a client that is silent for 30 seconds', async () => {
      const clock = new VirtualClock(Date.now());
      const own = await bed.startGateway({ clock });
      const client = new TestClient(own, { query: { room: 'r', api_key: key }, autoPong: false });
      const { arrival } = await seatOf(client);
      clock.advance(PEER_SILENCE_MS + 10_000);
      expect(await arrival.closed).toBe(1006);
      expect((await client.closed).code).toBe(1006);
    });

    it('keeps a client that answers pings', async () => {
      const clock = new VirtualClock(Date.now());
      const own = await bed.startGateway({ clock });
      const client = join('r', own);
      await seatOf(client);
      for (let beat = 0; beat < 10; beat++) {
        const ping = new Promise((resolve) => client.socket.once('ping', resolve));
        clock.advance(10_000);
        await ping;
        // The pong has arrived when a frame sent after it has.
        const { arrival } = await seatOf(client);
        client.send({ beat });
        await vi.waitFor(() => expect(arrival.received).toHaveLength(beat + 1), WAIT);
      }
      expect(client.socket.readyState).toBe(WebSocket.OPEN);
    });

    it('does not read from the SFU faster than a slow client reads, and loses nothing', async () => {
      const client = join('r');
      const { arrival } = await seatOf(client);
      client.socket.pause();
      const frame = JSON.stringify({ pad: 'x'.repeat(100_000) });
      const total = 400;
      for (let n = 0; n < total; n++) arrival.socket.send(frame);
      // What the kernel's buffers and the gateway do not take stays with the sender.
      let last = -1;
      await vi.waitFor(
        () => {
          const now = arrival.socket.bufferedAmount;
          const settled = now === last;
          last = now;
          expect(settled).toBe(true);
        },
        { timeout: 5_000, interval: 200 },
      );
      expect(arrival.socket.bufferedAmount).toBeGreaterThan(15_000_000);
      client.socket.resume();
      await vi.waitFor(() => expect(client.frames).toHaveLength(total + 1), { timeout: 10_000 });
    });
  });

  describe('placement', () => {
    it('sends everybody of a room to one SFU, and a new room to the SFU with the fewest peers', async () => {
      for (const [index, sfu] of bed.sfus('demo').entries()) sfu.peers = index === 1 ? 2 : 5;
      const nodes = await Promise.all(['a', 'a', 'b'].map(async (room) => (await join(room).frame(0)).node));
      expect(nodes).toEqual(['node-2', 'node-2', 'node-2']);
    });

    it('of two gateways that race for the same rooms, exactly one wins each room', async () => {
      const second = await bed.startGateway();
      // Few enough for this one process to be no slow SFU to itself.
      const rooms = Array.from({ length: 8 }, (_, n) => `race-${n}`);
      // Different views of the load, so that the two would choose differently.
      const seen = await Promise.all(
        rooms.flatMap((room, n) =>
          [gateway, second, gateway, second].map(async (at, k) => {
            if (k === 1) for (const [index, sfu] of bed.sfus('demo').entries()) sfu.peers = (index + n) % 3;
            return [room, (await join(room, at).frame(0)).node] as const;
          }),
        ),
      );
      for (const room of rooms) {
        const nodes = new Set(seen.filter(([name]) => name === room).map(([, node]) => node));
        expect([room, nodes.size]).toEqual([room, 1]);
        const row = await bed.store.rooms.get('demo', room);
        expect([row?.place?.nodeId, row?.generation]).toEqual([[...nodes][0], 1]);
      }
    });

    it('closes 4013 when the SFU dies, and the room is taken by another, once', async () => {
      const clients = [join('r'), join('r')];
      const seats = await Promise.all(clients.map((client) => seatOf(client)));
      const dead = seats[0]?.sfu;
      await dead?.kill();
      for (const client of clients) expect((await client.closed).code).toBe(4013);
      const second = await bed.startGateway();
      const back = await Promise.all([gateway, second, gateway, second].map((at) => join('r', at).frame(0)));
      const nodes = new Set(back.map((hello) => hello.node));
      expect(nodes.size).toBe(1);
      expect(nodes.has(dead?.node)).toBe(false);
      expect(await bed.store.rooms.get('demo', 'r')).toMatchObject({ generation: 2, place: { nodeId: [...nodes][0] } });
    });

    it('leaves an SFU that drains', async () => {
      const client = join('r');
      const { sfu, arrival } = await seatOf(client);
      sfu.status = 'draining';
      sfu.refuseWith = 503;
      arrival.socket.close(1001, 'draining');
      expect((await client.closed).code).toBe(4013);
      expect((await join('r').frame(0)).node).not.toBe(sfu.node);
    });

    it('does not follow a row to a port that is no longer of the namespace', async () => {
      const [foreign] = bed.sfus('other');
      await bed.store.rooms.claim({
        namespace: 'demo',
        roomId: 'r',
        place: { nodeId: 'node-1', internalIp: foreign?.address ?? '', signalingPort: foreign?.port ?? 0 },
        seenGeneration: null,
        nowMs: Date.now(),
      });
      expect((await join('r').frame(0)).type).toBe('hello');
      expect((await bed.store.rooms.get('demo', 'r'))?.generation).toBe(2);
      expect(foreign?.upgrades).toBe(0);
    });

    it('sends those who stayed on the old SFU after a room that has moved', async () => {
      const clock = new VirtualClock(Date.now());
      const own = await bed.startGateway({ clock });
      const [stays, moves] = [join('stays', own), join('moves', own)];
      await seatOf(stays);
      const { sfu, arrival } = await seatOf(moves);
      const target = bed.sfus('demo').find((each) => each !== sfu);
      await bed.store.rooms.claim({
        namespace: 'demo',
        roomId: 'moves',
        place: { nodeId: target?.node ?? '', internalIp: target?.address ?? '', signalingPort: target?.port ?? 0 },
        seenGeneration: 1,
        nowMs: Date.now(),
      });
      clock.advance(2_000);
      expect((await moves.closed).code).toBe(4013);
      expect(await arrival.closed).toBe(1000);
      expect(stays.socket.readyState).toBe(WebSocket.OPEN);
      expect((await join('moves', own).frame(0)).node).toBe(target?.node);
    });

    it('spreads the clients of a room that is told to, names its home in their tickets, and sends all after it', async () => {
      const clock = new VirtualClock(Date.now());
      const own = await bed.startGateway({ clock });
      await call(own, 'POST', '/v1/webrtc/rooms', { body: { room_id: 'wide', spread: true } });
      const enter = async (resume?: string) => {
        const client = join('wide', own);
        await once(client.socket, 'open');
        client.send({ type: 'join', ...(resume ? { resume } : {}) });
        return { client, ...(await seatOf(client)) };
      };
      const first = await enter();
      const { node, address, port } = first.sfu;
      const home = { node, address, signalingPort: port, generation: 2 };
      expect(first.arrival.ticket.home).toEqual(home);
      first.sfu.peers = 5;
      clock.advance(500);
      const second = await enter();
      expect(second.sfu).not.toBe(first.sfu);
      expect(second.arrival.ticket.home).toEqual(home);
      expect((await enter(`secret.${node}`)).sfu).toBe(first.sfu);
      clock.advance(2_000);
      await enter();
      expect(second.client.socket.readyState).toBe(WebSocket.OPEN);
      const { sfu: target } = second;
      await bed.store.rooms.claim({
        namespace: 'demo',
        roomId: 'wide',
        place: { nodeId: target.node, internalIp: target.address, signalingPort: target.port },
        seenGeneration: 2,
        nowMs: Date.now(),
      });
      clock.advance(2_000);
      for (const { client } of [first, second]) expect((await client.closed).code).toBe(4013);
    });

    it('sends who comes to a room whose home takes no more to another SFU, and leaves those who are in it', async () => {
      const stays = join('r');
      const { sfu: home, arrival: first } = await seatOf(stays);
      const refused = join('r');
      const { sfu, arrival } = await seatOf(refused);
      expect(sfu).toBe(home);
      arrival.socket.close(4013, 'capacity');
      expect(await refused.closed).toEqual({ code: 4013, reason: 'capacity' });
      const again = join('r');
      await once(again.socket, 'open');
      again.send({ type: 'join' });
      const second = await seatOf(again);
      expect(second.sfu).not.toBe(home);
      expect([first.ticket.home, second.arrival.ticket.home?.node]).toEqual([undefined, home.node]);
      expect([stays.socket.readyState, (await bed.store.rooms.get('demo', 'r'))?.generation]).toEqual([
        WebSocket.OPEN,
        1,
      ]);
    });

    it('says sfu_unavailable and closes 4013 when no SFU takes connections', async () => {
      await join('r').frame(0);
      await Promise.all(bed.sfus('demo').map((sfu) => sfu.kill()));
      const client = join('r');
      expect(await client.frame(0)).toMatchObject({ type: 'error', code: 'sfu_unavailable' });
      expect((await client.closed).code).toBe(4013);
      await Promise.all(bed.sfus('demo').map((sfu) => sfu.start()));
      await vi.waitFor(async () => expect((await join('r').frame(0)).type).toBe('hello'), WAIT);
    });

    it('closes 4003 when the SFU keeps the caller out', async () => {
      for (const sfu of bed.sfus('demo')) sfu.refuseWith = 403;
      const client = join('r');
      expect(await client.frame(0)).toMatchObject({ type: 'error', code: 'forbidden' });
      expect((await client.closed).code).toBe(4003);
    });
  });

  it('stop sends clients away with 1001, shows the SFU a lost network, and is done at once', async () => {
    const own = await bed.startGateway({ config: { drainTimeoutMs: 60_000 } });
    const clients = [join('r', own), join('r', own)];
    const seats = await Promise.all(clients.map((client) => seatOf(client)));
    const startedAt = performance.now();
    await own.gateway.stop();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    for (const client of clients) expect((await client.closed).code).toBe(1001);
    for (const { arrival } of seats) expect(await arrival.closed).toBe(1006);
    await expect(fetch(own.url)).rejects.toThrow();
  });

  it('stop does not wait for a client that never answers the close longer than its deadline', async () => {
    const own = await bed.startGateway({ config: { drainTimeoutMs: 300 } });
    const client = join('r', own);
    await client.frame(0);
    client.socket.pause();
    const startedAt = performance.now();
    await own.gateway.stop();
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    client.socket.terminate();
  });
});
