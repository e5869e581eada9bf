import { VirtualClock } from '@orama/core';
import { expect, test } from 'vitest';
import { ReceiveEstimator } from '../congestion/receive-estimator.ts';
import { ArrivalRecorder } from '../congestion/transport-feedback.ts';
import { MediaLines } from '../rtc/media-lines.ts';
import { readDescription } from '../rtc/sdp.ts';
import { readUplink } from '../rtc/sections.ts';
import { buildNack } from '../rtp/rtcp/build.ts';
import { browserOffer } from '../testing/browser-offer.ts';
import { KeptTrack } from '../testing/media-bed.ts';
import { rtpPacket } from '../testing/test-peer.ts';
import { MediaCounters } from './counters.ts';
import { Downlink } from './downlink.ts';
import { Publication } from './publication.ts';
import { Subscription } from './subscription.ts';

/** RED (RFC 2198) under 63, with Opus inside under 111. */
function publisherOfRed() {
  const counters = new MediaCounters();
  const media = readUplink({
    ...{ type: 'audio', port: 9, protocol: 'UDP/TLS/RTP/SAVPF' },
    rtp: [
      { payload: 63, codec: 'red', rate: 48_000, encoding: 2 },
      { payload: 111, codec: 'opus', rate: 48_000, encoding: 2 },
    ],
    fmtp: [{ payload: 63, config: '111/111' }],
  });
  if (!media) throw new Error('nothing to publish');
  const publication = new Publication({
    ...{ trackId: 't', peerId: 'p', mid: '0', source: 'microphone', muted: false, media, counters },
    ...{ arrivals: new ArrivalRecorder(), estimator: new ReceiveEstimator() },
    ...{ onCodecChange: () => {}, onDemand: () => {} },
  });
  const subscribe = (inside: number) => {
    const track = new KeptTrack('audio');
    const downlink = new Downlink(counters, new VirtualClock());
    const subscription = new Subscription({
      ...{ publication, mid: 's0', ssrc: inside, cname: 'p', firstSequence: 0, downlink, counters },
    });
    publication.addSink(subscription);
    subscription.activate(track.as(), publication.codec, { media: 63, inside, nack: true });
    return track;
  };
  return { publication, subscribe };
}

/** A packet with one block that repeats and one that is new, as payload types of blocks and what stands beside them. */
const BLOCKS = Buffer.from([0x80 | 111, 0x0f, 0x00, 0x02, 111, 0xf8, 0xf9, 0xfa]);
const blocksOf = (inside: number) => Buffer.from([0x80 | inside, 0x0f, 0x00, 0x02, inside, 0xf8, 0xf9, 0xfa]);
const packet = (sequence: number) =>
  rtpPacket({
    payloadType: 63,
    ssrc: 7,
    sequence,
    timestamp: sequence * 960,
    marker: false,
    payload: Buffer.from(BLOCKS),
  });

test("Opus inside RED has each subscriber's own number, also where a packet is sent again", () => {
  const { publication, subscribe } = publisherOfRed();
  const tracks = [109, 111, 96].map((inside) => [inside, subscribe(inside)] as const);
  for (const sequence of [1, 2]) publication.receive(packet(sequence));
  for (const [inside, track] of tracks) {
    track.onPacket?.(buildNack(1, inside, [1]));
    expect(track.rtp.map(({ payload }) => payload)).toEqual(new Array(3).fill(blocksOf(inside)));
  }
});

test('RED is offered with the Opus of the one who is to play it', () => {
  const { publication } = publisherOfRed();
  const lines = new MediaLines(
    16,
    () => undefined,
    () => true,
  );
  // What is 111 for the publisher is something else here.
  const attributes = ['a=rtpmap:63 red/48000/2', 'a=fmtp:63 109/109', 'a=rtpmap:109 opus/48000/2'];
  const offer = browserOffer([
    { kind: 'audio', mid: '0', attributes: [...attributes, 'a=rtpmap:111 telephone-event/8000'] },
  ]);
  const remote = readDescription(offer);
  lines.apply(remote, lines.plan(remote), false);
  expect(lines.decodes(publication.codec)).toBe(true);
  const { mid } = lines.addDownlink({
    ...{ kind: 'audio', codec: publication.codec, cname: 'p', streamId: 'p', trackId: 't' },
    ...{ onReady: () => {}, onStopped: () => {} },
  });
  const section = lines.section(mid);
  expect(section?.rtp).toEqual([
    { payload: 63, codec: 'red', rate: 48_000, encoding: 2 },
    { payload: 109, codec: 'opus', rate: 48_000, encoding: 2 },
  ]);
  expect(section?.fmtp?.[0]).toEqual({ payload: 63, config: '109/109' });
});
