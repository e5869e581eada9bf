import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PayloadReader } from '../rtp/codecs/reader.ts';
import { readForwarded } from '../rtp/extensions.ts';
import { RtpView, readUint16, unwrapRtx } from '../rtp/header.ts';
import { buildNack } from '../rtp/rtcp/build.ts';
import { BED_SSRC, mediaBed } from '../testing/media-bed.ts';
import { mediaTime } from '../testing/media-time.ts';
import { ToldTargets } from './told-targets.ts';

const time = mediaTime();

const PAYLOAD_TYPE = 45;
const RTX = { rtx: { ssrc: 7_777, firstSequence: 1 }, rtxPayloadType: 121 };
/** Of nine decode targets, three temporal layers each: those up to the second spatial layer, and of these two temporal ones. */
const TWO_SPATIAL = 0b000_111_111;
const TWO_TEMPORAL = 0b000_011_011;
const ALL = 0b111_111_111;

const RECORDED: Record<string, string[]> = JSON.parse(
  readFileSync(new URL('../rtp/codecs/recorded.json', import.meta.url), 'utf8'),
);

/** The beginning of a stream as Chromium sent it, with a transport-wide number behind each descriptor. */
function recorded(name: string): Buffer[] {
  return (RECORDED[name] as string[]).map((line, i) => {
    const [marker, dependency, payload] = line.split(' ') as [string, string, string];
    const descriptor = Buffer.from(dependency, 'hex');
    const elements = Buffer.from([12, descriptor.length, ...descriptor, 3, 2, 0, 0]);
    const words = Math.ceil(elements.length / 4);
    const header = Buffer.alloc(16 + words * 4);
    header[0] = 0x90;
    header[1] = PAYLOAD_TYPE | (marker === '1' ? 0x80 : 0);
    header.writeUInt16BE(1_000 + i, 2);
    header.writeUInt32BE(i * 1_000, 4);
    header.writeUInt32BE(BED_SSRC, 8);
    header.writeUInt16BE(0x1000, 12);
    header.writeUInt16BE(words, 14);
    elements.copy(header, 16);
    return Buffer.concat([header, Buffer.from(payload, 'hex')]);
  });
}

/** What packets say, read one after the other as a receiver does. */
function told(packets: readonly Buffer[]) {
  const reader = new PayloadReader('AV1');
  const view = new RtpView();
  return packets.map((packet) => {
    expect(readForwarded(packet, view)).toBe(true);
    reader.read(packet, view);
    const { payload, marker, transportSequenceAt } = view;
    const { startsFrame, endsFrame, startsKeyFrame, spatialId, temporalId, frameNumber, activeDecodeTargets } = payload;
    return {
      ...{ startsFrame, endsFrame, startsKeyFrame, spatialId, temporalId, frameNumber, activeDecodeTargets, marker },
      indications: [...payload.indications.subarray(0, payload.decodeTargets)],
      number: readUint16(packet, transportSequenceAt),
      content: packet.toString('hex', view.payloadStart, view.payloadEnd),
    };
  });
}

function setUp(name: string) {
  const bed = mediaBed();
  const packets = recorded(name);
  const again = packets.map((packet, i) => {
    const later = Buffer.from(packet);
    later.writeUInt16BE(1_000 + packets.length + i, 2);
    // As if the uppermost layer followed: the publisher marks none of these as the end of a picture.
    later[1] = PAYLOAD_TYPE;
    return later;
  });
  // The publication learns its codec from the first packet.
  bed.publication.expectCodec(PAYLOAD_TYPE);
  const { track, subscription } = bed.subscribe(PAYLOAD_TYPE, 10, RTX);
  const receive = (all: Buffer[]) => {
    for (const packet of all) {
      bed.publication.tick(time.nowMs);
      bed.publication.receive(Buffer.from(packet));
      time.nowMs += 100;
    }
    time.nowMs += 300;
    bed.publication.tick(time.nowMs);
  };
  /** What is sent of the stream the second time, when its layers are known. */
  const sent = (change: () => void) => {
    receive(packets);
    change();
    const before = track.sent.length;
    receive(again);
    return track.sent.slice(before);
  };
  const limit = (spatial: number, temporal: number) => {
    // The beginning of the stream has nothing of the uppermost layer yet.
    for (const { layers } of bed.publication.encodings) layers.spatial = 2;
    subscription.setTarget({ spatial, temporal });
  };
  return { ...bed, packets, whole: told(again), track, subscription, limit, sent };
}

const numberless = (packets: ReturnType<typeof told>) => packets.map((packet) => ({ ...packet, number: 0 }));

/** Those of `whole` that a subscriber to these layers is sent, with what they say of the targets. */
function expected(whole: ReturnType<typeof told>, spatial: number, temporal: number, activeDecodeTargets: number) {
  return whole
    .filter(({ spatialId, temporalId }) => spatialId <= spatial && temporalId <= temporal)
    .map((packet, i) => ({
      ...{ ...packet, activeDecodeTargets, number: whole.length + i },
      marker: packet.endsFrame && packet.spatialId === spatial,
    }));
}

test('who is sent all layers gets the descriptors as the publisher wrote them', () => {
  const { packets, whole, sent } = setUp('av1-l3t3');
  const out = sent(() => {});
  expect(numberless(told(out))).toEqual(numberless(whole));
  expect(out.map(({ length }) => length)).toEqual(packets.map(({ length }) => length));
});

test.each([
  [1, 255, TWO_SPATIAL],
  [1, 1, TWO_TEMPORAL],
])(
  'up to spatial layer %i and temporal layer %i, every frame says which decode targets are left',
  (spatial, temporal, left) => {
    const { limit, whole, sent } = setUp('av1-l3t3');
    const packets = told(sent(() => limit(spatial, temporal)));
    expect(packets).toEqual(expected(whole, spatial, temporal, left));
    expect(new Set(packets.map(({ activeDecodeTargets }) => activeDecodeTargets))).toEqual(new Set([left]));
  },
);

test('targets that need frames which are left out are none, though their layers are lower', () => {
  // From the key frame on the upper spatial layer needs nothing of the lower one (L2T3_KEY).
  const { limit, sent } = setUp('av1-l2t3-key');
  const packets = told(sent(() => limit(1, 1)));
  expect(packets.map(({ spatialId }) => spatialId)).toContain(1);
  expect(packets.at(-1)?.activeDecodeTargets).toBe(0b011_000);
});

test('a packet that is sent again says the same of layers and targets, and ends the picture where it did', () => {
  const { limit, sent, track, subscription } = setUp('av1-l3t3');
  const packets = sent(() => limit(1, 1));
  const before = track.sent.length;
  for (const packet of packets) track.onPacket?.(buildNack(1, subscription.ssrc, [readUint16(packet, 2)]));
  const repeated = track.sent.slice(before).map((packet) => {
    const view = new RtpView();
    readForwarded(packet, view);
    return unwrapRtx(packet, view, PAYLOAD_TYPE, subscription.ssrc) as Buffer;
  });
  expect(numberless(told(repeated))).toEqual(numberless(told(packets)));
});

test('once everything is sent again every frame says so, up to the next structure', () => {
  const targets = new ToldTargets();
  const reader = new PayloadReader('AV1');
  const view = new RtpView();
  const tell = (packet: Buffer, isWhole: boolean) => {
    readForwarded(packet, view);
    reader.read(packet, view);
    return Buffer.from(targets.tell(packet, view, isWhole ? 255 : 1, 255, isWhole));
  };
  const packets = recorded('av1-l3t3');
  const out = [...packets.map((packet) => tell(packet, false)), ...packets.slice(2, 8).map((one) => tell(one, true))];
  const said = told(out).slice(packets.length);
  expect(said.map(({ activeDecodeTargets }) => activeDecodeTargets)).toEqual(new Array(6).fill(ALL));
  expect(out.slice(packets.length).every(({ length }, i) => length > (packets[2 + i]?.length ?? 0))).toBe(true);
  for (const packet of packets.slice(0, 8)) expect(tell(packet, true)).toEqual(packet);
});
