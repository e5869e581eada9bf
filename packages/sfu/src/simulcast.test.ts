import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildNack } from './rtp/rtcp/build.ts';
import { LAYERED_CAMERA, layerOf, sendLayers } from './testing/layered-camera.ts';
import { type RunningSfu, startSfu } from './testing/running-sfu.ts';
import { TestPeer, until, VP8_KEY } from './testing/test-peer.ts';

describe('Sfu with simulcast', () => {
  let sfu: RunningSfu;
  let publisher: TestPeer;
  let viewer: TestPeer;
  let stopSending = () => {};

  beforeEach(async () => {
    sfu = await startSfu();
    publisher = await TestPeer.join(sfu);
    viewer = await TestPeer.join(sfu);
    await publisher.publish(LAYERED_CAMERA);
  });
  afterEach(async () => {
    stopSending();
    for (const peer of [publisher, viewer]) {
      expect(peer.faults).toEqual([]);
      await peer.end();
    }
    await sfu.sfu.stop();
  });

  const startSending = () => {
    stopSending = sendLayers(publisher);
  };

  test('a viewer gets one layer of three, the best; the announcement names them, `quality` says which and how much', async () => {
    const { mid, layers, codec, trackId } = await viewer.trackOf(publisher.id, 'video');
    expect({ layers, codec }).toEqual({ layers: LAYERED_CAMERA.layers.map(({ rid }) => ({ rid })), codec: 'VP8' });
    startSending();
    await until('the best layer', () => layerOf(viewer.packets(mid).at(-1)) === 2);
    const packets = viewer.packets(mid);
    expect(new Set(packets.map(({ ssrc }) => ssrc)).size).toBe(1);
    for (let i = 1; i < packets.length; i++)
      expect(((packets[i]?.sequence ?? 0) - (packets[i - 1]?.sequence ?? 0)) & 0xffff).toBe(1);
    const { tracks } = await viewer.next('quality', (frame) => frame.tracks.some(({ layer }) => layer === 2));
    expect(tracks).toMatchObject([{ trackId, delivery: 'flowing', loss: 0 }]);
    expect(tracks[0]?.bitrate).toBeGreaterThan(0);
  });

  test('a lost packet of a layer is repeated on the RTX stream that the viewer takes', async () => {
    const { mid } = await viewer.trackOf(publisher.id, 'video');
    startSending();
    const lost = await until('video', () => viewer.packets(mid)[10]);
    const { ssrc, sequence } = lost;
    viewer.connection.track(mid)?.send(buildNack(7, ssrc, [sequence]));
    const repeated = await until('it to be repeated', () =>
      viewer.packets(mid).find((packet) => packet.ssrc !== ssrc || packet.payloadType !== lost.payloadType),
    );
    expect(repeated.payload.readUInt16BE(0)).toBe(sequence);
    expect(repeated.payload.subarray(2)).toEqual(lost.payload);
    expect(repeated.timestamp).toBe(lost.timestamp);
  });

  test('layers nobody watches are switched off at the publisher, and on again when somebody does', async () => {
    const { mid, trackId } = await viewer.trackOf(publisher.id, 'video');
    startSending();
    await until('the best layer', () => layerOf(viewer.packets(mid).at(-1)) === 2);
    await publisher.next('send-layers', ({ rids }) => rids.join() === 'q,f');
    viewer.send({ type: 'subscribe', trackId, enabled: false });
    expect((await viewer.next('track-updated')).delivery).toBe('disabled');
    const off = await publisher.next('send-layers', ({ rids }) => rids.length === 0);
    expect(off).toMatchObject({ trackId, mid: '0' });
    const before = viewer.packets(mid).length;
    viewer.send({ type: 'subscribe', trackId, enabled: true });
    await until('the best layer again', () => layerOf(viewer.packets(mid).slice(before).at(-1)) === 2);
    const all = viewer.packets(mid);
    expect(((all[before]?.sequence ?? 0) - (all[before - 1]?.sequence ?? 0)) & 0xffff).toBe(1);
  }, 20_000);
});

describe('Sfu and codecs', () => {
  const [av1, vp8] = [
    { name: 'AV1', payloadType: 45 },
    { name: 'VP8', payloadType: 96 },
  ];
  const CHANGING = { mid: '0', kind: 'video' as const, ssrc: 7_000_001, codec: av1, otherCodecs: [vp8] };

  test('a viewer that refuses a codec which the publisher has given up by then gets what it sends now', async () => {
    const sfu = await startSfu();
    const publisher = await TestPeer.join(sfu);
    const viewer = await TestPeer.join(sfu);
    viewer.refusedCodecs = ['AV1'];
    viewer.answersOffers = false;
    await publisher.publish(CHANGING);
    const { trackId, mid } = await viewer.trackOf(publisher.id, 'video');
    const { sdp } = await viewer.next('offer', (frame) => frame.sdp.includes('AV1/90000'));
    publisher.sendPacket('0', 1, { payload: Buffer.from([0x18, 1, 2, 3]) });
    publisher.sendPacket('0', 2, { payloadType: vp8.payloadType, payload: VP8_KEY });
    const codecs = async () => JSON.stringify((await sfu.http('GET', '/rooms')).body).match(/"codec":"(\w+)"/)?.[1];
    while ((await codecs()) !== 'VP8');
    viewer.answersOffers = true;
    viewer.answer(sdp);
    const again = await viewer.next('track-added', (frame) => frame.trackId === trackId && frame.mid !== mid);
    expect(again.codec).toBe('VP8');
    let sequence = 3;
    await until('a picture', () => {
      publisher.sendPacket('0', sequence++, { payloadType: vp8.payloadType, payload: VP8_KEY });
      return viewer.packets(again.mid).length > 0;
    });
    await Promise.all([publisher.end(), viewer.end()]);
    await sfu.sfu.stop();
  });

  test('a viewer that cannot decode a track is told so, and gets it when the publisher changes to what it can', async () => {
    const sfu = await startSfu();
    const publisher = await TestPeer.join(sfu);
    const viewer = await TestPeer.join(sfu);
    viewer.refusedCodecs = ['AV1'];
    await publisher.publish(CHANGING);
    const { trackId, mid } = await viewer.trackOf(publisher.id, 'video');
    const told = await viewer.next('track-updated', ({ delivery }) => delivery === 'unsupported-codec');
    expect(told).toMatchObject({ trackId, codec: 'AV1', peerId: publisher.id });
    publisher.sendPacket('0', 1, { payload: Buffer.from([0x18, 1, 2, 3]) });
    publisher.sendPacket('0', 2, { payloadType: vp8.payloadType, payload: VP8_KEY });
    const again = await viewer.next('track-added', (frame) => frame.trackId === trackId && frame.mid !== mid);
    expect(again.codec).toBe('VP8');
    const asked = publisher.rtcp('0', 'pli').length;
    await until('a key frame request', () => publisher.rtcp('0', 'pli').length > asked);
    publisher.sendPacket('0', 3, { payloadType: vp8.payloadType, payload: VP8_KEY });
    await until('the picture', () => viewer.packets(again.mid).length > 0);
    await Promise.all([publisher.end(), viewer.end()]);
    await sfu.sfu.stop();
  });

  test('H.265 is forwarded as it was negotiated; who has none is told, and gets nothing that it would show as black', async () => {
    const sfu = await startSfu();
    const [publisher, viewer, other] = [await TestPeer.join(sfu), await TestPeer.join(sfu), await TestPeer.join(sfu)];
    other.refusedCodecs = ['H265'];
    const fmtp = 'level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST';
    await publisher.publish({
      mid: '0',
      kind: 'video',
      ssrc: 7_000_001,
      codec: { name: 'H265', payloadType: 49, fmtp },
    });
    const { mid, codec } = await viewer.trackOf(publisher.id, 'video');
    expect(codec).toBe('H265');
    const { sdp } = await viewer.next('offer', (frame) => frame.sdp.includes('H265/90000'));
    const [, payloadType] = /^a=rtpmap:(\d+) H265\/90000/m.exec(sdp) ?? [];
    expect(sdp).toContain(`a=fmtp:${payloadType} ${fmtp}`);
    const told = await other.next('track-updated', ({ delivery }) => delivery === 'unsupported-codec');
    expect(told).toMatchObject({ peerId: publisher.id, codec: 'H265' });
    // A slice of an IDR picture without parameter sets, then one that refers to it.
    const [key, delta] = [Buffer.from([0x26, 0x01, 0x80, 1, 2]), Buffer.from([0x02, 0x01, 0x80, 3, 4])];
    let sequence = 1;
    await until('pictures', () => {
      publisher.sendPacket('0', sequence, { payload: sequence++ === 1 ? key : delta });
      if (publisher.rtcp('0', 'pli').length > 0 && viewer.packets(mid).length === 0)
        publisher.sendPacket('0', sequence++, { payload: key });
      return viewer.packets(mid).length > 3;
    });
    const packets = viewer.packets(mid);
    expect(packets[0]?.payload).toEqual(key);
    expect(packets.at(-1)?.payload).toEqual(delta);
    expect(packets.every((packet) => packet.payloadType === Number(payloadType))).toBe(true);
    const [refused] = other.frames.filter((frame) => frame.type === 'track-added');
    expect(refused && 'mid' in refused ? other.packets(refused.mid ?? '') : null).toEqual([]);
    await Promise.all([publisher, viewer, other].map((peer) => peer.end()));
    await sfu.sfu.stop();
  });
});
