import { describe, expect, test } from 'vitest';
import { PayloadReader } from '../rtp/codecs/reader.ts';
import { RtpView, readRtp } from '../rtp/header.ts';
import { buildNack, buildSenderReport } from '../rtp/rtcp/build.ts';
import { type KeptTrack, mediaBed } from '../testing/media-bed.ts';
import { mediaTime } from '../testing/media-time.ts';
import { rtpPacket } from '../testing/test-peer.ts';

const time = mediaTime();

const TICK_MS = 50;
const FRAME_MS = 50;
const NTP_SECONDS = 3_900_000_000;

/** A VP8 frame in one packet (RFC 7741): 15-bit picture id, TL0PICIDX, TID with Y, KEYIDX, and a size in a key frame. */
function vp8(fields: {
  key: boolean;
  pictureId: number;
  tl0: number;
  tid?: number;
  y?: boolean;
  size?: [number, number];
}) {
  const { key, pictureId, tl0, tid = 0, y = false, size = [320, 180] } = fields;
  const head = [0x90, 0xf0, 0x80 | (pictureId >> 8), pictureId & 0xff, tl0 & 0xff, (tid << 6) | (y ? 0x20 : 0) | 3];
  const [width, height] = size;
  const frame = key
    ? [0x10, 0, 0, 0x9d, 0x01, 0x2a, width & 0xff, width >> 8, height & 0xff, height >> 8]
    : [0x11, 0, 0, 1, 2, 3];
  return Buffer.from([...head, ...frame]);
}

/** One simulcast encoder: its own SSRC, sequence numbers, timestamps and picture ids. */
class Layer {
  readonly ssrc: number;
  readonly size: [number, number];
  readonly timestampBase: number;
  sequence: number;
  pictureId: number;
  tl0: number;
  keyFrameWanted = true;
  on = true;

  constructor(ssrc: number, size: [number, number], timestampBase: number) {
    this.ssrc = ssrc;
    this.size = size;
    this.timestampBase = timestampBase;
    this.sequence = (ssrc * 1_000) & 0xffff;
    this.pictureId = ssrc & 0x7fff;
    this.tl0 = ssrc & 0xff;
  }

  timestampAt(timeMs: number): number {
    return (this.timestampBase + timeMs * 90) >>> 0;
  }
}

/** A publisher with three encoders, whose frames show the time they were taken at. */
function simulcast() {
  const layers = [
    new Layer(101, [320, 180], 1_000),
    new Layer(202, [640, 360], 4_000_000_000),
    new Layer(303, [1_280, 720], 777_777),
  ] as [Layer, Layer, Layer];
  const bed = mediaBed(layers.map(({ ssrc }, i) => ({ rid: 'qhf'[i] as string, ssrc })));
  let handled = 0;
  const answerRequests = () => {
    for (const packet of bed.uplink.rtcp.slice(handled)) {
      handled++;
      const layer = packet.type === 'pli' ? layers.find(({ ssrc }) => ssrc === packet.mediaSsrc) : undefined;
      if (layer) layer.keyFrameWanted = true;
    }
  };
  const sendFrame = (layer: Layer, takenMs = time.nowMs) => {
    const { pictureId, size } = layer;
    layer.pictureId = (layer.pictureId + 1) & 0x7fff;
    layer.tl0++;
    bed.publication.receive(
      rtpPacket({
        ...{ payloadType: 96, ssrc: layer.ssrc, sequence: layer.sequence++ & 0xffff, marker: true },
        timestamp: layer.timestampAt(takenMs),
        payload: vp8({ key: layer.keyFrameWanted, pictureId, tl0: layer.tl0, size }),
      }),
    );
    layer.keyFrameWanted = false;
  };
  const report = (layer: Layer) =>
    bed.publication.receive(
      buildSenderReport({
        ...{ ssrc: layer.ssrc, ntpSeconds: NTP_SECONDS + Math.floor(time.nowMs / 1_000), reports: [] },
        ntpFraction: Math.round(((time.nowMs % 1_000) / 1_000) * 0x1_0000_0000) >>> 0,
        ...{ rtpTimestamp: layer.timestampAt(time.nowMs), packetCount: 1, octetCount: 1 },
      }),
    );
  /** Lets time go on; every layer that is on sends frames, each a little after the one below. */
  const run = (durationMs: number, ...subscriptions: { tick(nowMs: number): void }[]) => {
    for (const endMs = time.nowMs + durationMs; time.nowMs < endMs; time.nowMs += FRAME_MS - 10) {
      const takenMs = time.nowMs;
      for (const layer of layers) {
        if (layer.on) sendFrame(layer, takenMs);
        time.nowMs += 3;
      }
      time.nowMs++;
      bed.publication.tick(time.nowMs);
      for (const subscription of subscriptions) subscription.tick(time.nowMs);
      answerRequests();
    }
  };
  return { ...bed, layers, run, report, answerRequests, sendFrame };
}

/** Picture numbers of a VP8 packet. */
function picturesOf(track: KeptTrack) {
  const reader = new PayloadReader('VP8');
  return track.sent
    .filter((packet) => (packet[1] as number) < 192 || (packet[1] as number) > 223)
    .map((packet) => {
      const view = new RtpView();
      readRtp(packet, view);
      reader.read(packet, view);
      const { pictureId, tl0PicIdx, startsKeyFrame, widths, temporalId } = view.payload;
      return { pictureId, tl0PicIdx, temporalId, width: startsKeyFrame ? widths[0] : undefined };
    });
}

function expectContinuous(track: KeptTrack): void {
  const packets = track.rtp;
  for (let i = 1; i < packets.length; i++) {
    const [before, packet] = [packets[i - 1], packets[i]] as [(typeof packets)[0], (typeof packets)[0]];
    expect((packet.sequence - before.sequence) & 0xffff).toBe(1);
    const ticks = (packet.timestamp - before.timestamp) | 0;
    expect(ticks).toBeGreaterThan(0);
  }
  const pictures = picturesOf(track);
  for (let i = 1; i < pictures.length; i++) {
    const [before, picture] = [pictures[i - 1], pictures[i]] as [(typeof pictures)[0], (typeof pictures)[0]];
    expect((picture.pictureId - before.pictureId) & 0x7fff).toBe(1);
    expect((picture.tl0PicIdx - before.tl0PicIdx) & 0xff).toBe(picture.temporalId > 0 ? 0 : 1);
  }
}

describe('Subscription to a simulcast track', () => {
  test('gets the largest layer first, another from its key frame on, the old one meanwhile, without a seam', () => {
    const { subscribe, run, layers, report } = simulcast();
    const { track, subscription } = subscribe();
    run(1_000, subscription);
    for (const layer of layers) report(layer);
    const widthsSent = () => {
      const widths = picturesOf(track).flatMap(({ width }) => width ?? []);
      return widths.filter((width, i) => width !== widths[i - 1]);
    };
    expect(widthsSent()).toEqual([1_280]);
    subscription.setTarget({ spatial: 0, temporal: 255 });
    const before = track.rtp.length;
    run(60, subscription);
    expect(track.rtp.length).toBeGreaterThan(before);
    run(1_200, subscription);
    expect(widthsSent()).toEqual([1_280, 320]);
    expect(subscription.layer).toEqual({ spatial: 0, temporal: 0 });
    subscription.setTarget({ spatial: 1, temporal: 255 });
    run(1_500, subscription);
    subscription.setTarget({ spatial: 2, temporal: 255 });
    run(1_500, subscription);
    expect(widthsSent()).toEqual([1_280, 320, 640, 1_280]);
    expectContinuous(track);
  });

  test('timestamps of all layers tell one time once the publisher has reported, to the tick', () => {
    const { subscribe, run, layers, report } = simulcast();
    const { track, subscription } = subscribe();
    run(100, subscription);
    for (const layer of layers) report(layer);
    const [first] = track.rtp;
    for (const spatial of [0, 2, 1, 2, 0]) {
      subscription.setTarget({ spatial, temporal: 255 });
      run(1_500, subscription);
    }
    // A key frame of a moment that was shown before goes a tick behind it; reports round to a tick.
    for (const { timestamp } of track.rtp) {
      const step = (timestamp - (first?.timestamp ?? 0) + 10) % (FRAME_MS * 90);
      expect(Math.abs(step - 10)).toBeLessThanOrEqual(2);
    }
    expectContinuous(track);
  });

  test('before there are reports time goes on by arrival', () => {
    const { subscribe, run } = simulcast();
    const { track, subscription } = subscribe();
    run(500, subscription);
    subscription.setTarget({ spatial: 0, temporal: 255 });
    run(1_500, subscription);
    const packets = track.rtp;
    const elapsed = ((packets.at(-1)?.timestamp ?? 0) - (packets[0]?.timestamp ?? 0)) >>> 0;
    expect(Math.abs(elapsed - (packets.length - 1) * FRAME_MS * 90)).toBeLessThan(10 * 90);
    expectContinuous(track);
  });

  test('is paused without bandwidth and told, and goes on without a seam', () => {
    const told: string[] = [];
    const { subscribe, run } = simulcast();
    const { track, subscription } = subscribe(96, 0, { onDelivery: ({ delivery }) => told.push(delivery) });
    run(500, subscription);
    subscription.setTarget(null);
    const before = track.rtp.length;
    run(3_000, subscription);
    expect(track.rtp.length).toBe(before);
    expect(subscription.layer).toBeNull();
    subscription.setTarget({ spatial: 0, temporal: 255 });
    run(1_500, subscription);
    expect(track.rtp.length).toBeGreaterThan(before);
    expect(told).toEqual(['no-bandwidth', 'flowing']);
    expectContinuous(track);
  });

  test('a layer that falls silent is replaced by the best that flows, and taken again when it comes back', () => {
    const { subscribe, run, layers } = simulcast();
    const { track, subscription } = subscribe();
    run(1_500, subscription);
    layers[2].on = false;
    run(1_500, subscription);
    expect(subscription.current?.rid).toBe('h');
    layers[2].on = layers[2].keyFrameWanted = true;
    run(200, subscription);
    expect(subscription.current?.rid).toBe('f');
    expectContinuous(track);
  });

  test('a layer that stops while smaller ones go on is replaced after four of their pictures; one that stumbles is not', () => {
    const { subscribe, run, layers, uplink } = simulcast();
    const { track, subscription } = subscribe();
    run(1_500, subscription);
    const asked = () => uplink.rtcp.filter((packet) => packet.type === 'pli' && packet.mediaSsrc === 202).length;
    const before = asked();
    layers[2].on = false;
    run(3 * FRAME_MS, subscription);
    layers[2].on = true;
    run(1_000, subscription);
    expect(asked()).toBe(before);
    expect(subscription.current?.rid).toBe('f');
    layers[2].on = false;
    run(6 * FRAME_MS, subscription);
    expect(asked()).toBe(before + 1);
    expect(subscription.current?.rid).toBe('h');
    expectContinuous(track);
  });

  test('a lost packet is repeated as it was sent, picture numbers included, before and after a change of layers', () => {
    const { subscribe, run } = simulcast();
    const { track, subscription } = subscribe(96, 65_530);
    for (const spatial of [2, 0, 1]) {
      subscription.setTarget({ spatial, temporal: 255 });
      run(1_200, subscription);
      const lost = track.rtp.at(-3);
      const count = track.rtp.length;
      track.onPacket?.(buildNack(1, subscription.ssrc, [lost?.sequence ?? 0]));
      expect(track.rtp.slice(count)).toEqual([lost]);
      track.sent.pop();
    }
    expectContinuous(track);
  });

  test('a picture a second, as of a screen that stands still, is no silence', () => {
    const { subscribe, layers, sendFrame, publication, answerRequests, uplink } = simulcast();
    const { track, subscription } = subscribe();
    const tick = () => {
      time.nowMs += 50;
      publication.tick(time.nowMs);
      subscription.tick(time.nowMs);
      answerRequests();
    };
    const second = () => {
      for (const layer of layers) {
        sendFrame(layer);
        tick();
        tick();
      }
      for (let i = 6; i < 20; i++) tick();
    };
    for (let i = 0; i < 5; i++) second();
    expect(subscription.current?.rid).toBe('f');
    const [asked, sent] = [uplink.rtcp.filter(({ type }) => type === 'pli').length, track.rtp.length];
    for (let i = 0; i < 20; i++) second();
    expect(uplink.rtcp.filter(({ type }) => type === 'pli').length).toBe(asked);
    expect(track.rtp.length).toBe(sent + 20);
  });

  test('sinks after it see the payload as the publisher sent it', () => {
    const { subscribe, run, publication } = simulcast();
    const { track, subscription } = subscribe();
    const seen: number[] = [];
    publication.addSink({
      needed: 0,
      forward: (packet, view, encoding) => {
        const { pictureIdAt, pictureId } = view.payload;
        if (encoding.rid === 'f') seen.push(packet.readUInt16BE(pictureIdAt) & 0x7fff, pictureId);
      },
      resynchronise: () => {},
      onSenderReport: () => {},
    });
    for (const spatial of [2, 0, 2]) {
      subscription.setTarget({ spatial, temporal: 255 });
      run(1_500, subscription);
    }
    expect(picturesOf(track).at(-1)?.pictureId).not.toBe(seen.at(-1));
    for (let i = 0; i < seen.length; i += 2) expect(seen[i]).toBe(seen[i + 1]);
  });

  test('what a silent layer would take stays known, so that it can be chosen again', () => {
    const { subscribe, run, layers, publication } = simulcast();
    const { subscription } = subscribe();
    run(3_000, subscription);
    const bitrates = () =>
      publication.layers(time.nowMs).map(({ spatial, bitrateBps }) => [spatial, Math.round(bitrateBps / 1_000)]);
    const before = bitrates();
    expect(before.map(([spatial]) => spatial)).toEqual([0, 1, 2]);
    layers[2].on = false;
    run(5_000, subscription);
    const [[, remembered] = [0, 0], [, was] = [0, 0]] = [bitrates().at(-1), before.at(-1)] as number[][];
    expect(remembered).toBeGreaterThan((was as number) * 0.7);
    expect(remembered).toBeLessThan((was as number) * 1.3);
    expect(publication.encodings[2]?.bitrateBps).toBe(0);
  });

  test('joining, leaving and changing by many is no storm of key frames', () => {
    const { subscribe, run, uplink } = simulcast();
    const subscriptions = Array.from({ length: 30 }, () => subscribe().subscription);
    for (let i = 0; i < 100; i++) {
      subscriptions[i % 30]?.setTarget({ spatial: i % 3, temporal: 255 });
      subscriptions[(i * 7) % 30]?.setEnabled(i % 2 === 0);
      run(100, ...subscriptions);
    }
    for (const ssrc of [101, 202, 303]) {
      const requests = uplink.rtcp.filter((packet) => packet.type === 'pli' && packet.mediaSsrc === ssrc);
      expect(requests.length).toBeLessThanOrEqual(13);
    }
  });
});

describe('Layers nobody watches', () => {
  test('are switched off at the publisher after some seconds, on at once, and the smallest stays while anything is watched', () => {
    const { subscribe, run, demands } = simulcast();
    const one = subscribe().subscription;
    const two = subscribe(120).subscription;
    two.setTarget({ spatial: 1, temporal: 255 });
    run(10_000, one, two);
    expect(demands).toEqual([]);
    two.setTarget({ spatial: 0, temporal: 255 });
    run(2_000, one, two);
    expect(demands).toEqual([]);
    run(4_000, one, two);
    expect(demands).toEqual([['q', 'f']]);
    two.setTarget({ spatial: 1, temporal: 255 });
    run(TICK_MS, one, two);
    expect(demands.at(-1)).toEqual(['q', 'h', 'f']);
    one.setEnabled(false);
    two.setEnabled(false);
    run(6_000, one, two);
    expect(demands.at(-1)).toEqual([]);
    one.setEnabled(true);
    run(TICK_MS, one, two);
    expect(demands.at(-1)).toEqual(['q', 'f']);
  });

  test('a layer that was off is forwarded from its first key frame, without a request more', () => {
    const { subscribe, run, layers, demands, uplink } = simulcast();
    const { track, subscription } = subscribe();
    subscription.setTarget({ spatial: 0, temporal: 255 });
    run(6_000, subscription);
    expect(demands).toEqual([['q']]);
    layers[1].on = layers[2].on = false;
    run(1_000, subscription);
    const asked = () => uplink.rtcp.filter((packet) => packet.type === 'pli' && packet.mediaSsrc === 303).length;
    const before = asked();
    subscription.setTarget({ spatial: 2, temporal: 255 });
    run(TICK_MS, subscription);
    expect(demands.at(-1)).toEqual(['q', 'f']);
    run(200, subscription);
    layers[2].on = layers[2].keyFrameWanted = true;
    run(300, subscription);
    expect(subscription.current?.rid).toBe('f');
    expect(asked() - before).toBeLessThanOrEqual(1);
    expectContinuous(track);
  });
});

test('a sender report comes every second, also between those of the publisher, on one line with them', () => {
  const { subscribe, run, layers, report } = simulcast();
  const { track, subscription } = subscribe();
  run(500, subscription);
  report(layers[2]);
  run(5_000, subscription);
  const reports = track.rtcp.filter((packet) => packet.type === 'sr');
  expect(reports.length).toBe(5);
  const [first, ...others] = reports;
  for (const [i, { ntpSeconds, ntpFraction, rtpTimestamp, packetCount }] of others.entries()) {
    const elapsedMs =
      (ntpSeconds - (first?.ntpSeconds ?? 0)) * 1_000 + ((ntpFraction - (first?.ntpFraction ?? 0)) / 2 ** 32) * 1_000;
    expect(Math.abs(elapsedMs - 1_000 * (i + 1))).toBeLessThan(60 * (i + 1));
    expect(Math.abs((rtpTimestamp - (first?.rtpTimestamp ?? 0)) / 90 - elapsedMs)).toBeLessThan(0.1);
    expect(packetCount).toBeGreaterThan(first?.packetCount ?? 0);
  }
});

test('padding that a publisher probes its path with is not forwarded, and leaves no hole', () => {
  const { subscribe, receive } = mediaBed();
  const { track } = subscribe();
  const delta = (picture: number) => vp8({ key: picture === 0, pictureId: picture, tl0: picture });
  receive(10, delta(0));
  receive(11, Buffer.alloc(0));
  receive(12, Buffer.alloc(0));
  receive(13, delta(1));
  expect(track.rtp.map(({ sequence }) => sequence)).toEqual([0, 1]);
});

test('a packet that the publisher never sends again is made up for by a key frame', () => {
  const { subscribe, receive, publication, uplink } = mediaBed();
  subscribe();
  const delta = (picture: number) => vp8({ key: picture === 0, pictureId: picture, tl0: picture });
  receive(10, delta(0));
  receive(12, delta(2));
  const count = (type: 'pli' | 'nack') => uplink.rtcp.filter((packet) => packet.type === type).length;
  const before = count('pli');
  for (let i = 0; i < 10; i++) {
    time.nowMs += 50;
    publication.tick(time.nowMs);
  }
  expect([count('pli'), count('nack') > 3]).toEqual([before, true]);
  for (let i = 0; i < 15; i++) {
    time.nowMs += 50;
    publication.tick(time.nowMs);
  }
  expect(count('pli')).toBeGreaterThan(before);
});

describe('Temporal layers', () => {
  /** T0 T2 T1 T2, as Chromium sends three temporal layers. */
  const PATTERN = [0, 2, 1, 2];
  const frame = (index: number) => {
    const tid = PATTERN[index % 4] as number;
    const tl0 = Math.floor(index / 4);
    return vp8({ key: index === 0, pictureId: index & 0x7fff, tl0, tid, y: tid > 0 });
  };

  test('that are not wanted leave no hole in sequence numbers and picture ids, also when packets come late', () => {
    const bed = mediaBed();
    const { track, subscription } = bed.subscribe();
    const run = (from: number, to: number) => {
      const order = Array.from({ length: to - from }, (_, i) => from + i);
      // Every eleventh packet comes three later.
      for (let i = 0; i + 3 < order.length; i += 11) order.splice(i + 3, 0, ...order.splice(i, 1));
      for (const index of order) {
        time.nowMs += 33;
        bed.receive(1_000 + index, frame(index), { timestamp: index * 3_000, marker: true });
        bed.publication.tick(time.nowMs);
        subscription.tick(time.nowMs);
      }
    };
    bed.receive(1_000, frame(0), { timestamp: 0, marker: true });
    run(1, 100);
    expect(
      bed.publication.layers(performance.now()).map(({ temporal, fps }) => [temporal, Math.round(fps ?? 0)]),
    ).toEqual([
      [0, expect.closeTo(7.5, -1)],
      [1, expect.closeTo(15, -1)],
      [2, expect.closeTo(30, -1)],
    ]);
    subscription.setTarget({ spatial: 0, temporal: 1 });
    run(100, 300);
    expect(subscription.layer).toEqual({ spatial: 0, temporal: 1 });
    subscription.setTarget({ spatial: 0, temporal: 255 });
    run(300, 400);
    const bySequence = track.rtp
      .map((packet, i) => ({ ...packet, ...picturesOf(track)[i] }))
      .sort((one, other) => one.sequence - other.sequence);
    for (let i = 1; i < bySequence.length; i++) {
      const [before, packet] = [bySequence[i - 1], bySequence[i]];
      expect((packet?.sequence ?? 0) - (before?.sequence ?? 0)).toBe(1);
      if (packet?.payload.length) expect((packet?.timestamp ?? 0) > (before?.timestamp ?? 0)).toBe(true);
    }
    const limited = bySequence.filter(({ timestamp }) => timestamp >= 330_000 && timestamp < 870_000);
    expect(limited.filter(({ temporalId, payload }) => temporalId === 2 && payload.length > 0).length).toBeLessThan(12);
    const pictures = bySequence.filter(({ payload }) => payload.length > 0).map(({ pictureId }) => pictureId);
    for (let i = 1; i < pictures.length; i++)
      expect((pictures[i] ?? 0) - (pictures[i - 1] ?? 0)).toBeLessThanOrEqual(2);
    expect(new Set(pictures).size).toBe(pictures.length);
  });

  /** Three seconds of all layers, which are known then; the numbers go on with 1_100. */
  const warmUp = (options: Parameters<ReturnType<typeof mediaBed>['subscribe']>[2] = {}) => {
    const bed = mediaBed();
    const { track, subscription } = bed.subscribe(96, 0, options);
    for (let index = 0; index < 100; index++) {
      time.nowMs += 33;
      bed.receive(1_000 + index, frame(index), { marker: true });
      bed.publication.tick(time.nowMs);
      subscription.tick(time.nowMs);
    }
    return { ...bed, track, subscription };
  };

  test('what stands for a late packet of a picture that is left out can be lost too: it is sent again', () => {
    const { track, subscription, receive } = warmUp({ rtx: { ssrc: 7_777, firstSequence: 500 }, rtxPayloadType: 121 });
    subscription.setTarget({ spatial: 0, temporal: 0 });
    receive(1_100, frame(100), { marker: true });
    receive(1_102, frame(101), { marker: true });
    receive(1_103, frame(104), { marker: true });
    receive(1_101, frame(101));
    const empty = track.rtp.at(-1);
    expect(empty).toMatchObject({ sequence: 101, payload: { length: 0 } });
    track.onPacket?.(buildNack(1, subscription.ssrc, [101]));
    const { payload, ...repeated } = track.rtp.at(-1) ?? { payload: Buffer.alloc(0) };
    expect(repeated).toEqual({
      ...{ ssrc: 7_777, payloadType: 121, sequence: 500, marker: false },
      timestamp: empty?.timestamp,
    });
    expect([...payload]).toEqual([0, 101]);
  });

  test('come back with a picture that comes in time: what builds on a late one has been left out already', () => {
    const { subscription, receive } = warmUp();
    subscription.setTarget({ spatial: 0, temporal: 0 });
    receive(1_100, frame(100), { marker: true });
    subscription.setTarget({ spatial: 0, temporal: 1 });
    receive(1_104, frame(104), { marker: true });
    receive(1_102, frame(102), { marker: true });
    expect(subscription.layer).toMatchObject({ temporal: 0 });
    receive(1_106, frame(106), { marker: true });
    expect(subscription.layer).toMatchObject({ temporal: 1 });
  });
});

describe('Spatial layers inside one stream (VP9, RFC 9628)', () => {
  const VP9 = { name: 'VP9', payloadType: 98 };
  /** One layer frame in one packet: picture id, layer indices and TL0PICIDX of the non-flexible mode. */
  const layerFrame = (picture: number, spatial: number, key: boolean) => {
    const predicted = key ? 0 : 0x40;
    const head = 0x80 | predicted | 0x20 | 0x08 | 0x04;
    return Buffer.from([
      head,
      0x80 | (picture >> 8),
      picture & 0xff,
      (spatial << 1) | (spatial > 0 ? 1 : 0),
      picture & 0xff,
      1,
    ]);
  };
  const setUp = () => {
    const bed = mediaBed();
    let sequence = 4_000;
    let picture = 0;
    let answered = 0;
    let keyFrameWanted = true;
    // The publication learns its codec from the first packet.
    bed.receive(sequence++, layerFrame(picture++, 0, false), { payloadType: VP9.payloadType });
    const { track, subscription } = bed.subscribe(98, 0);
    const run = (pictures: number) => {
      for (let i = 0; i < pictures; i++) {
        time.nowMs += 33;
        const requests = bed.uplink.rtcp.filter(({ type }) => type === 'pli').length;
        if (requests > answered) keyFrameWanted = true;
        answered = requests;
        for (const spatial of [0, 1, 2])
          bed.receive(sequence++ & 0xffff, layerFrame(picture, spatial, keyFrameWanted), {
            ...{ payloadType: VP9.payloadType, timestamp: picture * 3_000, marker: spatial === 2 },
          });
        keyFrameWanted = false;
        picture++;
        bed.publication.tick(time.nowMs);
        subscription.tick(time.nowMs);
      }
    };
    const sent = () => track.rtp.map((packet) => ({ ...packet, spatial: ((packet.payload[3] as number) >> 1) & 7 }));
    return { ...bed, track, subscription, run, sent };
  };

  test('fewer at once, with the picture ended by what is sent of it; more from a key frame, which is asked for', () => {
    const { publication, subscription, run, sent, uplink } = setUp();
    run(60);
    expect(publication.layers(time.nowMs).map(({ spatial, temporal }) => [spatial, temporal])).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    expect(new Set(sent().map(({ spatial }) => spatial))).toEqual(new Set([0, 1, 2]));
    subscription.setTarget({ spatial: 1, temporal: 255 });
    let before = sent().length;
    run(60);
    const limited = sent().slice(before);
    expect(limited.map(({ spatial, marker }) => [spatial, marker])).toEqual(
      limited.map((_, i) => (i % 2 === 0 ? [0, false] : [1, true])),
    );
    const requests = () => uplink.rtcp.filter(({ type }) => type === 'pli').length;
    const asked = requests();
    before = sent().length;
    subscription.setTarget({ spatial: 2, temporal: 255 });
    expect(requests()).toBe(asked + 1);
    run(30);
    const raised = sent().slice(before);
    expect(raised.slice(0, 3).map(({ spatial }) => spatial)).toEqual([0, 1, 2]);
    const all = sent();
    for (let i = 1; i < all.length; i++)
      expect(((all[i]?.sequence ?? 0) - (all[i - 1]?.sequence ?? 0)) & 0xffff).toBe(1);
  });

  test('a packet of an unwanted layer that comes late leaves its number to one without content', () => {
    const { receive, subscription, run, track } = setUp();
    run(60);
    subscription.setTarget({ spatial: 1, temporal: 255 });
    run(2);
    const before = track.rtp.length;
    const vp9 = { payloadType: VP9.payloadType, marker: false };
    // As run() numbers: the next picture's packets, its last one behind the first of the picture after.
    const next = 4_000 + 1 + 62 * 3;
    const send = (offset: number, picture: number, spatial: number) =>
      receive(next + offset, layerFrame(picture, spatial, false), { ...vp9, timestamp: picture * 3_000 });
    send(0, 63, 0);
    send(1, 63, 1);
    send(3, 64, 0);
    send(2, 63, 2);
    const late = track.rtp.slice(before);
    const first = late[0]?.sequence ?? 0;
    expect(late.map(({ sequence, payload }) => [sequence - first, payload.length > 0])).toEqual([
      [0, true],
      [1, true],
      [3, true],
      [2, false],
    ]);
  });
});
