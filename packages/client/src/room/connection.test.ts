import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { VirtualClock } from '@orama/core';
import type { ClientFrame, ServerFrame } from '@orama/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type WebSocket as ServerSocket, WebSocketServer } from 'ws';
import { Connection } from './connection.ts';
import type { ConnectOptions } from './options.ts';
import { DEFAULT_RECONNECT_POLICY } from './reconnect-policy.ts';

/** The server's end of one client connection. */
interface Peer {
  url: URL;
  socket: ServerSocket;
  received: ClientFrame[];
  send(frame: ServerFrame): void;
}

const LIMITS = {
  maxParticipants: 100,
  maxTracks: 16,
  frameBytes: 65536,
  descriptionBytes: 262144,
  maxChannels: 16,
  channelMessageBytes: 65536,
};

function welcome(peerId: string, resumed = false): ServerFrame {
  const resumeToken = `token of ${peerId}`;
  return {
    type: 'welcome',
    peerId,
    room: 'r',
    participants: [],
    resumeToken,
    resumed,
    permissions: { publish: true, subscribe: true, data: true },
    limits: LIMITS,
    forceRelay: true,
  };
}

let server: WebSocketServer;
let origin: string;
const peers: Peer[] = [];
const opened: Connection[] = [];

beforeEach(async () => {
  server = new WebSocketServer({ host: '127.85.0.1', port: 0 });
  await once(server, 'listening');
  origin = `http://127.85.0.1:${(server.address() as AddressInfo).port}`;
  server.on('connection', (socket, request) => {
    const peer: Peer = {
      url: new URL(request.url ?? '', origin),
      socket,
      received: [],
      send: (frame) => socket.send(JSON.stringify(frame)),
    };
    socket.on('message', (data) => peer.received.push(JSON.parse(String(data))));
    peers.push(peer);
  });
});

afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
  for (const { socket } of peers.splice(0)) socket.terminate();
  server.close();
});

function open(options: Partial<ConnectOptions> = {}, policy = {}) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const platform = { WebSocket, RTCPeerConnection: undefined as never, clock, random: () => 0.5 };
  const connection = new Connection(
    { url: origin, apiKey: 'k', room: 'r', name: 'Ada', ...options },
    platform,
    { ...DEFAULT_RECONNECT_POLICY, ...policy },
    {
      onWelcome: ({ peerId, resumed }) => log.push(`welcome ${peerId}${resumed ? ' resumed' : ''}`),
      onFrame: (frame) => log.push(frame.type),
      onLost: (error, attempt) => log.push(`lost ${error.code} ${attempt}`),
      onEnd: (error) => log.push(`end ${error.code}`),
    },
  );
  opened.push(connection);
  const until = (entry: string) => vi.waitFor(() => expect(log).toContain(entry), { interval: 2 });
  /** The server's end of connection number `index`, as soon as it has asked to join. */
  const peer = (index: number) =>
    vi.waitFor(
      () => {
        const found = peers[index];
        if (!found?.received[0]) throw new Error(`connection ${index} has not joined`);
        return found;
      },
      { interval: 2 },
    );
  const join = async (): Promise<Peer> => {
    clock.advance(0);
    const first = await peer(0);
    first.send(welcome('p1'));
    await until('welcome p1');
    return first;
  };
  return { clock, connection, log, until, peer, join };
}

describe('Connection', () => {
  test('joins with the credential in the query and the rest in the frame', async () => {
    const { join } = open();
    const { url, received } = await join();
    expect(`${url.pathname}${url.search}`).toBe('/v1/webrtc/signal?room=r&api_key=k');
    expect(received).toEqual([{ type: 'join', room: 'r', name: 'Ada' }]);
  });

  test('says that it wants no data channels', async () => {
    const { received } = await open({ channels: false }).join();
    expect(received).toEqual([{ type: 'join', room: 'r', name: 'Ada', channels: false }]);
  });

  test('comes back as the same peer after a lost socket, and sends what waited meanwhile', async () => {
    const { clock, connection, until, peer, join } = open();
    (await join()).socket.terminate();
    await until('lost unreachable 1');
    connection.send({ type: 'data', data: 'meanwhile' });
    clock.advance(1_000);
    const second = await peer(1);
    expect(second.received).toEqual([{ type: 'join', room: 'r', name: 'Ada', resume: 'token of p1' }]);
    second.send(welcome('p1', true));
    await until('welcome p1 resumed');
    await vi.waitFor(() => expect(second.received[1]).toEqual({ type: 'data', data: 'meanwhile' }));
  });

  test('joins anew when the server no longer keeps the peer, without what waited for the old one', async () => {
    const { clock, connection, until, peer, join } = open();
    (await join()).socket.terminate();
    await until('lost unreachable 1');
    connection.send({ type: 'answer', sdp: 'of the old session' });
    clock.advance(15_001);
    const second = await peer(1);
    expect(second.received[0]).not.toHaveProperty('resume');
    second.send(welcome('p2'));
    await until('welcome p2');
    connection.send({ type: 'data', data: 'new' });
    await vi.waitFor(() => expect(second.received.map(({ type }) => type)).toEqual(['join', 'data']));
  });

  test('joins anew on 4013, and asks for a fresh credential each time', async () => {
    const getCredentials = vi.fn().mockResolvedValueOnce({ token: 'a' }).mockResolvedValueOnce({ token: 'b' });
    const { clock, until, peer, join } = open({ getCredentials });
    (await join()).socket.close(4013);
    await until('lost moved 1');
    clock.advance(1_000);
    const second = await peer(1);
    expect(second.received[0]).not.toHaveProperty('resume');
    expect(peers.map(({ url }) => url.searchParams.get('token'))).toEqual(['a', 'b']);
  });

  test('rejoin() leaves as the old peer first', async () => {
    const { connection, until, join } = open();
    const first = await join();
    const { ClientError } = await import('../errors.ts');
    connection.rejoin(new ClientError('media_failed', 'no path'));
    await until('lost media_failed 1');
    await vi.waitFor(() => expect(first.received.at(-1)).toEqual({ type: 'leave' }));
  });

  test('ends at once, with the words of the server, where coming back is no use', async () => {
    const { clock, log, until, peer } = open();
    clock.advance(0);
    const first = await peer(0);
    first.send({ type: 'error', code: 'room_full', message: 'the room takes 2' });
    first.socket.close(4004);
    await until('end room_full');
    expect(log).toEqual(['end room_full']);
    expect(clock.pending).toBe(0);
  });

  test('gives up after the configured number of attempts', async () => {
    const { clock, log, until, join } = open({}, { maxAttempts: 3 });
    await join();
    server.close();
    for (const { socket } of peers) socket.terminate();
    for (const attempt of [1, 2, 3]) {
      await until(`lost unreachable ${attempt}`);
      clock.advance(5_000);
    }
    await until('end reconnect_failed');
    expect(log.filter((entry) => entry.startsWith('lost'))).toHaveLength(3);
  });

  test('forgives failures only after the media was healthy for a while', async () => {
    for (const healthyMs of [1_000, 6_000]) {
      const { clock, connection, log, until, peer, join } = open();
      (await join()).socket.close(4013);
      await until('lost moved 1');
      clock.advance(1_000);
      const second = await peer(1);
      second.send(welcome('p2'));
      await until('welcome p2');
      connection.markHealthy();
      clock.advance(healthyMs);
      second.socket.close(4013);
      await vi.waitFor(() => expect(log.filter((entry) => entry.startsWith('lost moved'))).toHaveLength(2));
      expect(log.at(-1)).toBe(healthyMs < 5_000 ? 'lost moved 2' : 'lost moved 1');
      connection.close();
      peers.splice(0);
    }
  });

  test('notices a server that has gone silent', async () => {
    const { clock, until, join } = open();
    await join();
    clock.advance(20_000);
    await until('lost timeout 1');
  });

  test('answers pings, and passes over frames it does not know', async () => {
    const { log, join } = open();
    const first = await join();
    first.socket.send('{"type":"from-the-future"}');
    first.socket.send('not JSON');
    first.send({ type: 'ping', id: 5 });
    await vi.waitFor(() => expect(first.received.at(-1)).toEqual({ type: 'pong', id: 5 }));
    expect(log).toEqual(['welcome p1']);
  });

  test('gives up the join itself when no answer comes', async () => {
    const { clock, log, until, peer } = open({}, { maxInitialAttempts: 1 });
    clock.advance(0);
    await peer(0);
    clock.advance(10_000);
    await until('end timeout');
    expect(log).toEqual(['end timeout']);
  });

  test('after close() nothing is called and no timer is left', async () => {
    const { clock, connection, log, join } = open();
    const first = await join();
    connection.close();
    await once(first.socket, 'close');
    expect(first.received.at(-1)).toEqual({ type: 'leave' });
    expect(log).toEqual(['welcome p1']);
    expect(clock.pending).toBe(0);
  });
});
