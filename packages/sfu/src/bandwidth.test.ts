import { expect, test } from 'vitest';
import { buildRemb } from './rtp/rtcp/build.ts';
import { startSfu } from './testing/running-sfu.ts';
import { TestPeer, until, VP8_DELTA, VP8_KEY } from './testing/test-peer.ts';

const CAMERA = { mid: '0', kind: 'video', ssrc: 1_000_001, source: 'camera' } as const;

test('a real subscriber whose path has no room is told, and told how much there is; metrics count it', async () => {
  const sfu = await startSfu();
  const publisher = await TestPeer.join(sfu);
  await publisher.publish(CAMERA);
  const viewer = await TestPeer.join(sfu);
  const { mid, trackId } = await viewer.trackOf(publisher.id, 'video');
  let sequence = 0;
  let requests = 0;
  const sending = setInterval(() => {
    const { length } = publisher.rtcp('0', 'pli');
    const start = length > requests ? VP8_KEY : VP8_DELTA;
    requests = length;
    publisher.sendPacket('0', sequence++, { payload: Buffer.concat([start, Buffer.alloc(1_000)]) });
  }, 20);
  const estimate = async (bitrateBps: number) => {
    const ssrc = await until('a packet', () => viewer.packets(mid)[0]?.ssrc);
    viewer.connection.track(mid)?.send(buildRemb(1, bitrateBps, [ssrc]));
  };
  const told = (delivery: string) =>
    viewer.next('track-updated', (frame) => frame.trackId === trackId && frame.delivery === delivery);
  const metrics = async () => String((await sfu.http('GET', '/metrics')).body);

  await estimate(40_000);
  await told('no-bandwidth');
  expect(await metrics()).toMatch(/^orama_sfu_paused_tracks\S* 1$/m);
  expect(await metrics()).toMatch(/^orama_sfu_available_bitrate_bits_bucket\{le="100000"\S* 1$/m);
  const quality = await viewer.next('quality', ({ availableBitrate }) => availableBitrate !== undefined);
  expect(quality.availableBitrate).toBeLessThanOrEqual(40_000);

  const before = viewer.packets(mid).length;
  await estimate(5_000_000);
  await told('flowing');
  await until('packets', () => viewer.packets(mid).length > before);
  clearInterval(sending);
  expect(await metrics()).toMatch(/^orama_sfu_paused_tracks\S* 0$/m);
  for (const peer of [publisher, viewer]) await peer.end();
  await sfu.sfu.stop();
});
