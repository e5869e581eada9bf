import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildNack, buildPli, buildSenderReport } from './rtp/rtcp/build.ts';
import { type RunningSfu, startSfu } from './testing/running-sfu.ts';
import { TestPeer, until, VP8_DELTA, VP8_KEY } from './testing/test-peer.ts';

const CAMERA = { mid: '0', kind: 'video', ssrc: 1_000_001, source: 'camera' } as const;
const MICROPHONE = { mid: '1', kind: 'audio', ssrc: 1_000_002, source: 'microphone' } as const;

async function metric(sfu: RunningSfu, name: string): Promise<number> {
  const { body } = await sfu.http('GET', '/metrics');
  return Number(new RegExp(`^orama_sfu_${name}\\S* (\\d+)`, 'm').exec(body as string)?.[1]);
}

describe('Sfu with real peers', () => {
  let sfu: RunningSfu;
  const peers: TestPeer[] = [];
  const join = async (...args: Parameters<typeof TestPeer.join> extends [RunningSfu, ...infer R] ? R : never) => {
    const peer = await TestPeer.join(sfu, ...args);
    peers.push(peer);
    return peer;
  };

  beforeEach(async () => {
    sfu = await startSfu();
  });
  afterEach(async () => {
    for (const peer of peers.splice(0)) {
      expect(peer.faults).toEqual([]);
      await peer.end();
    }
    await sfu.sfu.stop();
  });

  /** Answers key frame requests with a key frame until the subscriber has it. */
  const startVideo = async (publisher: TestPeer, subscriber: TestPeer, mid: string, from = 0) => {
    await until('a key frame request', () => publisher.rtcp('0', 'pli').length > 0);
    publisher.sendPacket('0', from, { payload: VP8_KEY });
    await until('the key frame', () => subscriber.packets(mid).length > 0);
  };

  test('a published track reaches a peer that joins later, which is asked for nothing but an answer', async () => {
    const publisher = await join({}, { name: 'Ann', metadata: { seat: 1 } });
    await publisher.publish(CAMERA, MICROPHONE);
    const viewer = await join();
    expect(viewer.welcome.participants).toMatchObject([
      {
        peerId: publisher.id,
        name: 'Ann',
        metadata: { seat: 1 },
        tracks: [{ kind: 'video', source: 'camera', muted: false }, { kind: 'audio' }],
      },
    ]);
    const video = await viewer.trackOf(publisher.id, 'video');
    const audio = await viewer.trackOf(publisher.id, 'audio');
    await startVideo(publisher, viewer, video.mid);
    publisher.sendPacket('1', 700, { timestamp: 960, payload: Buffer.from('voice') });
    const [voice] = await until('audio', () => viewer.packets(audio.mid).length > 0 && viewer.packets(audio.mid));
    expect(voice).toMatchObject({ timestamp: 960, payload: Buffer.from('voice'), marker: true });
    expect(viewer.packets(video.mid)[0]?.payload).toEqual(VP8_KEY);
    await publisher.next('peer-joined', ({ peerId }) => peerId === viewer.id);
  });

  test('two peers that publish at the same time see each other: crossing offers lose no track', async () => {
    const ann = await join();
    const bob = await join();
    ann.offer(CAMERA, MICROPHONE);
    bob.offer({ ...CAMERA, ssrc: 2_000_001 }, { ...MICROPHONE, ssrc: 2_000_002 });
    for (const [from, to] of [
      [ann, bob],
      [bob, ann],
    ] as const) {
      const video = await to.trackOf(from.id, 'video');
      const audio = await to.trackOf(from.id, 'audio');
      await until('the line', () => from.connection.track('1')?.isOpen && to.connection.track(audio.mid)?.isOpen);
      let sequence = 0;
      await until('audio to flow', () => {
        from.sendPacket('1', sequence++);
        return to.packets(audio.mid).length > 0;
      });
      await startVideo(from, to, video.mid);
    }
  });

  test('an offer of the client that crosses the offer of the server is answered first, and the server offers again', async () => {
    const ann = await join();
    await ann.publish(MICROPHONE);
    const bob = await join();
    await bob.publish({ ...MICROPHONE, ssrc: 2_000_002 });
    await until('both to be settled', () => bob.connection.track('s0')?.isOpen && ann.connection.track('s0')?.isOpen);
    bob.answersOffers = false;
    await ann.publish(CAMERA);
    const offers = () => bob.frames.filter(({ type }) => type === 'offer').length;
    const before = offers();
    await until(
      'the server to offer the camera',
      () =>
        offers() > before ||
        bob.frames.some((f) => f.type === 'track-added' && f.kind === 'video' && f.peerId === ann.id && offers() > 1),
    );
    // The client never answers that offer, it sends its own.
    bob.answersOffers = true;
    await bob.publish({ ...CAMERA, ssrc: 2_000_001 });
    const annVideo = await bob.trackOf(ann.id, 'video');
    await startVideo(ann, bob, annVideo.mid);
    const bobVideo = await ann.trackOf(bob.id, 'video');
    await startVideo(bob, ann, bobVideo.mid);
  });

  test('several tracks of one kind are told apart, added and removed while others flow', async () => {
    const publisher = await join();
    const viewer = await join();
    await publisher.publish(CAMERA);
    const camera = await viewer.trackOf(publisher.id, 'video', 'camera');
    await startVideo(publisher, viewer, camera.mid);
    await publisher.publish({ mid: 'screen', kind: 'video', ssrc: 1_000_003, source: 'screen' });
    const screen = await viewer.trackOf(publisher.id, 'video', 'screen');
    expect(screen.mid).not.toBe(camera.mid);
    await until('the screen to be asked for', () => publisher.rtcp('screen', 'pli').length > 0);
    publisher.sendPacket('screen', 40, { payload: VP8_KEY });
    publisher.sendPacket('0', 1);
    await until('both', () => viewer.packets(screen.mid).length === 1 && viewer.packets(camera.mid).length === 2);
    expect(new Set([...viewer.packets(screen.mid), ...viewer.packets(camera.mid)].map(({ ssrc }) => ssrc)).size).toBe(
      2,
    );

    // The camera is taken away: its m-line says inactive, the screen goes on.
    const sdp = publisher.connection.createLocal('offer').replace(/(a=mid:0\r\n)a=sendonly/, '$1a=inactive');
    publisher.send({ type: 'offer', sdp });
    await viewer.next('track-removed', ({ trackId }) => trackId === camera.trackId);
    publisher.sendPacket('screen', 41);
    await until('the screen to go on', () => viewer.packets(screen.mid).length === 2);
    const { participants } = (await join()).welcome;
    expect(participants.find(({ peerId }) => peerId === publisher.id)?.tracks).toMatchObject([{ source: 'screen' }]);
  });

  test('the m-line of a removed track carries the next one on its other SSRC; each SSRC goes on counting', async () => {
    const viewer = await join();
    await viewer.publish({ ...MICROPHONE, ssrc: 3_000_001 });
    const offerCount = () => viewer.frames.filter(({ type }) => type === 'offer').length;
    for (const name of ['one', 'two', 'three']) {
      const publisher = await join({}, { name });
      await publisher.publish(CAMERA);
      const { mid } = await viewer.trackOf(publisher.id, 'video');
      expect(mid).toBe('s0');
      const before = viewer.packets(mid).length;
      await until('a key frame request', () => publisher.rtcp('0', 'pli').length > 0);
      publisher.sendPacket('0', 50, { payload: VP8_KEY });
      await until('the camera', () => viewer.packets(mid).length > before);
      const offersBefore = offerCount();
      publisher.send({ type: 'leave' });
      await viewer.next('peer-left', ({ peerId, reason }) => peerId === publisher.id && reason === 'left');
      await until('the line to be given back', () => offerCount() > offersBefore && viewer.connection.isStable);
    }
    const [one, two, three] = viewer.packets('s0');
    expect(two?.ssrc).not.toBe(one?.ssrc);
    expect(three?.ssrc).toBe(one?.ssrc);
    expect(three?.sequence).toBe(((one?.sequence as number) + 1) & 0xffff);
  });

  test('a subscriber gets nothing before a key frame, and its sequence numbers have no hole after a pause', async () => {
    const publisher = await join();
    await publisher.publish(CAMERA);
    const viewer = await join();
    const { mid, trackId } = await viewer.trackOf(publisher.id, 'video');
    await until('a key frame request', () => publisher.rtcp('0', 'pli').length > 0);
    publisher.sendPacket('0', 10);
    publisher.sendPacket('0', 11, { payload: VP8_KEY });
    publisher.sendPacket('0', 12);
    await until('two packets', () => viewer.packets(mid).length === 2);
    expect(viewer.packets(mid)[0]?.payload).toEqual(VP8_KEY);

    viewer.send({ type: 'subscribe', trackId, enabled: false });
    viewer.send({ type: 'ping', id: 1 });
    await viewer.next('pong');
    publisher.sendPacket('0', 13);
    const requests = publisher.rtcp('0', 'pli').length;
    viewer.send({ type: 'subscribe', trackId, enabled: true });
    await until('another key frame request', () => publisher.rtcp('0', 'pli').length > requests);
    publisher.sendPacket('0', 14);
    publisher.sendPacket('0', 15, { payload: VP8_KEY });
    await until('the key frame', () => viewer.packets(mid).length === 3);
    const [first, second, third] = viewer.packets(mid).map(({ sequence }) => sequence) as [number, number, number];
    expect([second - first, third - second]).toEqual([1, 1]);
    expect(viewer.packets(mid)[2]?.timestamp).toBe(15 * 3_000);
  });

  test("a subscriber's NACK is answered from the cache; a hole in what the publisher sends is asked for and filled", async () => {
    const publisher = await join();
    await publisher.publish(CAMERA);
    const viewer = await join();
    const { mid } = await viewer.trackOf(publisher.id, 'video');
    await startVideo(publisher, viewer, mid, 100);
    publisher.sendPacket('0', 101);
    publisher.sendPacket('0', 104, { payload: VP8_DELTA });
    const [nack] = await until(
      'a NACK to the publisher',
      () => publisher.rtcp('0', 'nack').length > 0 && publisher.rtcp('0', 'nack'),
    );
    expect(nack).toMatchObject({ mediaSsrc: CAMERA.ssrc, sequences: [102, 103] });
    publisher.sendPacket('0', 103);
    publisher.sendPacket('0', 102);
    await until('five packets', () => viewer.packets(mid).length === 5);
    const base = viewer.packets(mid)[0] as { sequence: number; ssrc: number };
    expect(viewer.packets(mid).map(({ sequence }) => sequence - base.sequence)).toEqual([0, 1, 4, 3, 2]);
    expect(viewer.packets(mid).map(({ timestamp }) => timestamp / 3_000)).toEqual([100, 101, 104, 103, 102]);

    viewer.connection
      .track(mid)
      ?.send(buildNack(7, base.ssrc, [base.sequence + 1, base.sequence + 2, base.sequence + 9]));
    // What comes twice is dropped by SRTP at the viewer, so that the server's count has to tell.
    for (let sent = 0; sent < 2; ) sent = await metric(sfu, 'retransmitted_packets_total');
    expect(await metric(sfu, 'nacked_packets_in_total')).toBe(3);
  });

  test('key frame requests of many subscribers become one, and are repeated until a key frame comes', async () => {
    const publisher = await join();
    await publisher.publish(CAMERA);
    const viewers = await Promise.all([join(), join(), join()]);
    const mids = await Promise.all(viewers.map(async (viewer) => (await viewer.trackOf(publisher.id, 'video')).mid));
    await until('a request', () => publisher.rtcp('0', 'pli').length > 0);
    publisher.sendPacket('0', 1);
    await until('the request to be repeated', () => publisher.rtcp('0', 'pli').length > 1);
    publisher.sendPacket('0', 2, { payload: VP8_KEY });
    await until('everyone', () => viewers.every((viewer, i) => viewer.packets(mids[i] as string).length > 0));
    const before = publisher.rtcp('0', 'pli').length;
    for (const [i, viewer] of viewers.entries()) {
      const mid = mids[i] as string;
      const ssrc = viewer.packets(mid)[0]?.ssrc as number;
      for (let times = 0; times < 5; times++) viewer.connection.track(mid)?.send(buildPli(1, ssrc));
    }
    await until('one more request', () => publisher.rtcp('0', 'pli').length > before);
    publisher.sendPacket('0', 3, { payload: VP8_KEY });
    expect(await metric(sfu, 'key_frame_requests_in_total')).toBeGreaterThan(publisher.rtcp('0', 'pli').length);
  });

  test("the publisher's sender report reaches subscribers with their SSRC, and the publisher gets receiver reports", async () => {
    const publisher = await join();
    await publisher.publish(CAMERA);
    const viewer = await join();
    const { mid } = await viewer.trackOf(publisher.id, 'video');
    await startVideo(publisher, viewer, mid, 5);
    const report = {
      ssrc: CAMERA.ssrc,
      ntpSeconds: 3_900_000_000,
      ntpFraction: 0x80000000,
      rtpTimestamp: 90_000,
      packetCount: 1,
      octetCount: 6,
      reports: [],
    };
    publisher.connection.track('0')?.send(buildSenderReport(report));
    const [forwarded] = await until('the report', () => viewer.rtcp(mid, 'sr').length > 0 && viewer.rtcp(mid, 'sr'));
    expect(forwarded).toMatchObject({ ...report, ssrc: viewer.packets(mid)[0]?.ssrc });
    expect(viewer.rtcp(mid, 'sdes')[0]?.chunks[0]?.cname).toBe(publisher.id);
    const [received] = await until(
      'a receiver report',
      () => publisher.rtcp('0', 'rr').length > 0 && publisher.rtcp('0', 'rr'),
    );
    expect(received?.reports).toMatchObject([{ ssrc: CAMERA.ssrc, packetsLost: 0, highestSequence: 5 }]);
  });

  test('a muted track is told; a forced mute stops its packets until it is lifted', async () => {
    const publisher = await join();
    await publisher.publish(MICROPHONE);
    const viewer = await join();
    const { mid, trackId } = await viewer.trackOf(publisher.id, 'audio');
    publisher.send({ type: 'track-state', trackId, muted: true });
    await viewer.next('track-updated', ({ muted, forced }) => muted && !forced);
    publisher.send({ type: 'track-state', trackId, muted: false });
    await viewer.next('track-updated', ({ muted }) => !muted);

    const mute = (muted: boolean) => sfu.http('POST', '/rooms/mute', { room: 'lobby', peerId: publisher.id, muted });
    expect(await mute(true)).toEqual({ status: 200, body: { affected: 1 } });
    await publisher.next('track-updated', ({ forced }) => forced === true);
    publisher.send({ type: 'track-state', trackId, muted: false });
    await publisher.next('error', ({ code }) => code === 'forbidden');
    await until('the line', () => viewer.connection.track(mid)?.isOpen);
    publisher.sendPacket('1', 1);
    publisher.sendPacket('1', 2);
    for (let arrived = 0; arrived < 2; ) arrived = await metric(sfu, 'packets_in_total');
    expect(await mute(false)).toEqual({ status: 200, body: { affected: 1 } });
    await until('audio', () => {
      publisher.sendPacket('1', 3 + publisher.frames.length);
      return viewer.packets(mid).length > 0;
    });
    expect(viewer.packets(mid)[0]?.timestamp).toBeGreaterThanOrEqual(9_000);
  });

  test('twenty connections in a row are set up without the one-second stall, whichever side offers first', async () => {
    const publisher = await join();
    await publisher.publish(MICROPHONE);
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const started = performance.now();
      const peer = await TestPeer.join(sfu);
      if (i % 2) peer.offer({ ...MICROPHONE, ssrc: 4_000_000 + i });
      await until('media', () => peer.states.includes('connected'));
      times.push(performance.now() - started);
      await peer.end();
    }
    expect(Math.max(...times)).toBeLessThan(900);
  });
});
