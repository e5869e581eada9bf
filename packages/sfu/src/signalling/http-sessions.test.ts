import { VirtualClock } from '@orama/core';
import { HTTP_SESSION_CONNECT_MS, type SfuSessionOpened } from '@orama/protocol';
import { PeerConnection, type Track, Video } from 'node-datachannel';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Negotiation } from '../rtc/negotiation.ts';
import { isRtcp, RtpView, readRtp } from '../rtp/header.ts';
import { type RunningSfu, startSfu } from '../testing/running-sfu.ts';
import { rtpPacket, TestPeer, until, VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';

const WHIP = { publish: true, subscribe: false, data: false, admin: false };
const WHEP = { publish: false, subscribe: true, data: false, admin: false };
const CAMERA = { mid: '0', kind: 'video', ssrc: 4_444 } as const;

const open: { close(): void | Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function start(...options: Parameters<typeof startSfu>): Promise<RunningSfu> {
  const sfu = await startSfu({ drainTimeoutMs: 1, ...options[0] }, options[1]);
  open.push({ close: () => sfu.sfu.stop() });
  return sfu;
}

async function join(sfu: RunningSfu, name?: string): Promise<TestPeer> {
  const peer = await TestPeer.join(sfu, {}, name === undefined ? {} : { name });
  open.push({ close: () => peer.end() });
  return peer;
}

/** Simulcast layers as an encoder may name them, the largest first, with their pictures' sizes. */
const LAYERS = [
  { rid: 'high', ssrc: 5_000_100, width: 1280, height: 720 },
  { rid: 'mid', ssrc: 5_000_200, width: 640, height: 360 },
  { rid: 'low', ssrc: 5_000_300, width: 320, height: 180 },
];

/** The beginning of a VP8 key frame of that size (RFC 7741 section 4.2, RFC 6386 section 9.1). */
function keyFrame({ width, height }: { width: number; height: number }): Buffer {
  const frame = Buffer.from([0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0, 1, 2, 3]);
  frame.writeUInt16LE(width, 7);
  frame.writeUInt16LE(height, 9);
  return frame;
}

/** A client that speaks HTTP only, with one video line. */
class Client {
  /** The RTP that came. */
  readonly received: { ssrc: number; sequence: number; payload: Buffer }[] = [];
  opened: SfuSessionOpened | null = null;
  readonly #sfu: RunningSfu;
  readonly #connection: PeerConnection;
  #track: Track | null = null;

  constructor(sfu: RunningSfu) {
    this.#sfu = sfu;
    this.#connection = new PeerConnection('http', {
      ...{ iceServers: [], bindAddress: '127.46.255.254' },
      ...{ disableAutoNegotiation: true, forceMediaTransport: true },
    });
    open.push({ close: () => this.#connection.close() });
  }

  offer({ publish }: typeof WHIP): string {
    const video = new Video(CAMERA.mid, publish ? 'SendOnly' : 'RecvOnly');
    video.addVideoCodec(96, 'VP8');
    if (publish) for (const { ssrc } of [CAMERA, ...LAYERS]) video.addSSRC(ssrc, 'c', 's', 't');
    this.#track = this.#connection.addTrack(video);
    this.#track.onMessage((packet) => {
      const view = new RtpView();
      if (isRtcp(packet) || !readRtp(packet, view)) return;
      const payload = Buffer.from(packet.subarray(view.payloadStart, view.payloadEnd));
      this.received.push({ ssrc: view.ssrc, sequence: view.sequence, payload });
    });
    this.#connection.setLocalDescription('offer');
    return this.#connection.localDescription()?.sdp ?? '';
  }

  async open(permissions: typeof WHIP, more: object = {}, offer = this.offer(permissions)): Promise<number> {
    const ticket = { ns: 'demo', room: 'lobby', identity: 'key-1', permissions, maxParticipants: 100 };
    const { status, body } = await this.#sfu.http('POST', '/sessions/open', { ticket, offer, ...more });
    if (status !== 200) return status;
    this.opened = body as SfuSessionOpened;
    this.#connection.setRemoteDescription(this.opened.answer, 'answer');
    return status;
  }

  call(what: 'ice' | 'close', more: object = {}) {
    const session = { room: 'lobby', identity: 'key-1', session: this.opened?.session ?? '' };
    return this.#sfu.http('POST', `/sessions/${what}`, { ...session, ...more });
  }

  async send(sequence: number, payload: Buffer, ssrc: number = CAMERA.ssrc): Promise<void> {
    await until('the line to open', () => this.#track?.isOpen());
    const fields = { payloadType: 96, ssrc, sequence, timestamp: sequence * 3_000, marker: true, payload };
    this.#track?.sendMessageBinary(rtpPacket(fields));
  }
}

/** An offer with a second video line. */
function withTheora(offer: string): string {
  const line = offer
    .slice(offer.indexOf('m=video'))
    .replaceAll('VP8/90000', 'theora/90000')
    .replace('a=mid:0', 'a=mid:1');
  return offer.replace('a=group:BUNDLE 0', 'a=group:BUNDLE 0 1') + line;
}

/** Sequence numbers of all publishers: none is ever used twice under one SSRC. */
let sequence = 0;

/** Sends key frames until the client has `count` packets that end in `mark`. */
async function play(publisher: TestPeer, client: Client, mark: number, count = 3): Promise<void> {
  const payload = Buffer.concat([VP8_KEY, Buffer.from([mark])]);
  await until(`packets marked ${mark}`, () => {
    publisher.sendPacket('0', sequence++, { payload });
    return client.received.filter((packet) => packet.payload.at(-1) === mark).length >= count;
  });
}

const peersOf = async (sfu: RunningSfu) => {
  const { body } = await sfu.http('GET', '/rooms');
  const { rooms } = body as { rooms: { participants: { name?: string; tracks: unknown[] }[] }[] };
  return rooms.flatMap(({ participants }) => participants);
};

describe('POST /sessions/open', () => {
  test('a publisher without signalling is a peer like any other, until it closes its session', async () => {
    const sfu = await start();
    const viewer = await join(sfu);
    const client = new Client(sfu);
    expect(await client.open(WHIP, { name: 'camera 7' })).toBe(200);
    expect(client.opened?.answer).toMatch(/^a=recvonly/m);
    const { mid, peerId } = await viewer.trackOf(client.opened?.peerId ?? '', 'video');
    await viewer.next('peer-joined', (frame) => frame.peerId === peerId && frame.name === 'camera 7');
    await until('the line', () => viewer.connection.track(mid)?.isOpen);
    await until('packets', () => {
      void client.send(sequence, sequence++ % 5 === 0 ? VP8_KEY : VP8_DELTA);
      return viewer.packets(mid).length > 3;
    });
    expect((await client.call('close', { identity: 'key-2' })).status).toBe(404);
    expect((await client.call('close')).status).toBe(200);
    await viewer.next('peer-left', (frame) => frame.peerId === peerId && frame.reason === 'left');
    expect(await client.call('close')).toMatchObject({ status: 404, body: { error: { code: 'SESSION_NOT_FOUND' } } });
  });

  test('a publisher of three layers is taken with all of them: a viewer gets the best, or the smaller one that it asks for', async () => {
    const sfu = await start();
    const viewer = await join(sfu);
    const client = new Client(sfu);
    const simulcast = [
      ...LAYERS.map(({ rid }) => `a=rid:${rid} send`),
      `a=simulcast:send ${LAYERS.map(({ rid }) => rid).join(';')}`,
      ...LAYERS.map(({ ssrc }) => `a=ssrc-group:FID ${ssrc} ${ssrc + 1}`),
    ].join('\r\n');
    expect(await client.open(WHIP, {}, `${client.offer(WHIP).trimEnd()}\r\n${simulcast}\r\n`)).toBe(200);
    expect(client.opened?.answer).toMatch(/^a=simulcast:recv high;mid;low/m);
    const { mid, trackId, layers } = await viewer.trackOf(client.opened?.peerId ?? '', 'video');
    expect(layers?.map(({ rid }) => rid)).toEqual(LAYERS.map(({ rid }) => rid));
    const widthIs = (width: number) =>
      until(`a picture ${width} wide`, () => {
        sequence++;
        for (const layer of LAYERS) void client.send(sequence, keyFrame(layer), layer.ssrc);
        return viewer.packets(mid).at(-1)?.payload.readUInt16LE(7) === width;
      });
    await widthIs(1280);
    for (const [maxLayer, width] of [
      [0, 320],
      [1, 640],
    ] as const) {
      viewer.send({ type: 'subscribe', trackId, enabled: true, maxLayer });
      await widthIs(width);
    }
    expect(new Set(viewer.packets(mid).map(({ ssrc }) => ssrc)).size).toBe(1);
  });

  test('a player gets the newest publisher, and the one before when that leaves, on the m-line it offered', async () => {
    const sfu = await start();
    const [ann, bob] = [await join(sfu, 'ann'), await join(sfu, 'bob')];
    await ann.publish({ ...CAMERA, ssrc: 11 });
    await bob.publish({ ...CAMERA, ssrc: 22 });
    const [player, ofAnn] = [new Client(sfu), new Client(sfu)];
    expect(await player.open(WHEP)).toBe(200);
    expect(await ofAnn.open(WHEP, { publisher: 'ann' })).toBe(200);
    expect(player.opened?.answer).toMatch(/^a=sendonly/m);
    await play(bob, player, 0xbb);
    await play(ann, ofAnn, 0xaa);
    expect(player.received.some(({ payload }) => payload.at(-1) === 0xaa)).toBe(false);
    await bob.end();
    await play(ann, player, 0xaa);
    expect(new Set(player.received.map(({ ssrc }) => ssrc)).size).toBe(1);
    const sequences = player.received.map(({ sequence }) => sequence);
    expect(sequences.at(-1)).toBe(((sequences[0] ?? 0) + sequences.length - 1) & 0xffff);
    expect(ofAnn.received.every(({ payload }) => payload.at(-1) === 0xaa)).toBe(true);
  });

  test('a player that comes first gets what is published later', async () => {
    const sfu = await start();
    const player = new Client(sfu);
    expect(await player.open(WHEP)).toBe(200);
    const publisher = await join(sfu);
    await publisher.publish(CAMERA);
    await play(publisher, player, 0xcc);
    await player.call('close');
    expect(await peersOf(sfu)).toHaveLength(1);
  });

  test('a player that numbers header extensions in its own way, as Firefox does, is answered under its numbers', async () => {
    const sfu = await start();
    const player = new Client(sfu);
    const uri = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
    const lines = [`a=extmap:7 ${uri}`, 'a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid'].join('\r\n');
    const offer = player.offer(WHEP).replace(/^a=mid:.*$/m, (mid) => `${mid.trim()}\r\n${lines}`);
    expect(await player.open(WHEP, {}, offer)).toBe(200);
    expect(player.opened?.answer.match(/^a=extmap:.*/gm)).toEqual([`a=extmap:7 ${uri}`]);
  });

  test.each([
    ['no description at all', 'v=1', 400],
    [
      'nothing to send',
      (sdp: string) => sdp.replaceAll('a=sendonly', 'a=inactive').replaceAll('a=sendrecv', 'a=inactive'),
      400,
    ],
    ['no codec that is forwarded', (sdp: string) => sdp.replaceAll('VP8/90000', 'theora/90000'), 400],
    ['something beside it that is not forwarded', withTheora, 400],
  ])('an offer with %s is refused, and nobody is left in the room', async (_what, change, status) => {
    const sfu = await start();
    const client = new Client(sfu);
    const offer = client.offer(WHIP);
    expect(await client.open(WHIP, {}, typeof change === 'string' ? change : change(offer))).toBe(status);
    expect(await peersOf(sfu)).toEqual([]);
  });

  test('a full room and a draining server refuse; a drain ends the sessions that are open', async () => {
    const sfu = await start({ drainTimeoutMs: 60_000 });
    const client = new Client(sfu);
    expect(await client.open(WHIP)).toBe(200);
    const ticket = { ns: 'demo', room: 'lobby', identity: 'key-1', permissions: WHIP, maxParticipants: 1 };
    const late = new Client(sfu);
    expect(await late.open(WHIP, { ticket })).toBe(409);
    const stopped = sfu.sfu.stop();
    expect(await new Client(sfu).open(WHIP).catch(() => 503)).toBe(503);
    await stopped;
  });

  test('a publisher that falls silent is offered no ICE restart, as one with signalling is', async () => {
    const sfu = await start();
    const client = new Client(sfu);
    await client.open(WHIP);
    await client.send(sequence++, VP8_KEY);
    const publisher = await join(sfu);
    await publisher.publish(CAMERA);
    publisher.sendPacket('0', sequence++, { payload: VP8_KEY });
    const packets = async () => {
      const { body } = await sfu.http('GET', '/metrics', undefined, false);
      return Number(/^orama_sfu_packets_in_total\S* (\d+)/m.exec(String(body))?.[1]);
    };
    await until('both to be heard', async () => (await packets()) >= 2);
    // It could not take the new credentials.
    publisher.answersOffers = false;
    const restart = vi.spyOn(Negotiation.prototype, 'restartIce');
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 20_000);
    open.push({ close: () => void vi.restoreAllMocks() });
    await until('the restart', () => restart.mock.calls.length > 0);
    expect(restart).toHaveBeenCalledTimes(1);
  });

  test('a session whose media never connects ends after thirty seconds', async () => {
    const clock = new VirtualClock(Date.now());
    const sfu = await start({}, clock);
    const client = new Client(sfu);
    const ticket = { ns: 'demo', room: 'lobby', identity: 'key-1', permissions: WHIP, maxParticipants: 100 };
    const { status } = await sfu.http('POST', '/sessions/open', { ticket, offer: client.offer(WHIP) });
    expect(status).toBe(200);
    clock.advance(HTTP_SESSION_CONNECT_MS - 1);
    expect(await peersOf(sfu)).toHaveLength(1);
    clock.advance(1);
    expect(await peersOf(sfu)).toEqual([]);
  });
});

describe('POST /sessions/ice', () => {
  const CANDIDATE = 'a=candidate:1 1 UDP 16777215 127.46.0.9 4000 typ relay raddr 0.0.0.0 rport 0\r\n';
  const RENEWED = `a=ice-ufrag:newer\r\na=ice-pwd:${'n'.repeat(24)}\r\n${CANDIDATE}`;

  test('takes candidates under the tag of the session, and a new session under *', async () => {
    const sfu = await start();
    const client = new Client(sfu);
    await client.open(WHIP);
    const etag = client.opened?.etag ?? '';
    expect((await client.call('ice', { fragment: CANDIDATE, ifMatch: etag })).body).toEqual({ etag, fragment: null });
    expect((await client.call('ice', { fragment: CANDIDATE, ifMatch: '"other"' })).status).toBe(412);
    expect((await client.call('ice', { fragment: RENEWED, ifMatch: etag })).status).toBe(412);
    expect((await client.call('ice', { fragment: 'a=candidate:x', ifMatch: etag })).status).toBe(400);

    const renewed = (await client.call('ice', { fragment: RENEWED, ifMatch: '*' })).body as {
      etag: string;
      fragment: string;
    };
    expect(renewed.etag).not.toBe(etag);
    expect(renewed.fragment).toMatch(/^a=ice-ufrag:\S+\r\na=ice-pwd:\S+\r\nm=video .*\r\na=mid:0\r\na=candidate:/);
    const [before] = /^a=ice-ufrag:.*/m.exec(client.opened?.answer ?? '') ?? [];
    expect(renewed.fragment).not.toContain(before);
    expect((await client.call('ice', { fragment: CANDIDATE, ifMatch: etag })).status).toBe(412);
    expect((await client.call('ice', { fragment: CANDIDATE, ifMatch: renewed.etag })).status).toBe(200);
    expect((await client.call('ice', { fragment: RENEWED, ifMatch: '*' })).body).toMatchObject({ fragment: null });
  });

  test('fragments without end are refused', async () => {
    const sfu = await start();
    const client = new Client(sfu);
    await client.open(WHIP);
    const ask = () => client.call('ice', { fragment: CANDIDATE, ifMatch: client.opened?.etag });
    const statuses = await Promise.all(Array.from({ length: 60 }, async () => (await ask()).status));
    expect(statuses).toContain(429);
  });
});
