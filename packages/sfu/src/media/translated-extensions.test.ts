import { expect, test } from 'vitest';
import { acceptedExtensions, type Extension, translatedIds } from '../rtc/sections.ts';
import { EXTENSION, findExtension } from '../rtp/extensions.ts';
import { RtpView, readRtp } from '../rtp/header.ts';
import { buildNack } from '../rtp/rtcp/build.ts';
import { KeptTrack, mediaBed } from '../testing/media-bed.ts';
import { VP8_DELTA, VP8_KEY } from '../testing/test-peer.ts';

/** As Firefox numbers them where it offers to receive. */
const FIREFOX: Extension[] = [
  { value: 3, uri: EXTENSION.mid },
  { value: 4, uri: EXTENSION.sendTime },
  { value: 7, uri: EXTENSION.transportSequence },
];
const OURS: Extension[] = [EXTENSION.sendTime, EXTENSION.transportSequence, EXTENSION.playoutDelay].map((uri, i) => ({
  value: [2, 3, 5][i] as number,
  uri,
}));
const section = (ext: Extension[]) => ({
  ...{ type: 'video', port: 9, protocol: 'UDP/TLS/RTP/SAVPF', rtp: [], fmtp: [] },
  ext,
});
const idsFor = (ext: Extension[]) => translatedIds(acceptedExtensions(section(ext), { ext: OURS }));

/** A packet whose elements have the ids that a publisher gave them. */
function packet(sequence: number, payload: Buffer): Buffer {
  const head = [0x90, 96, 0, sequence, 0, 0, 0, sequence, 0, 0, 0, 50, 0xbe, 0xde, 0, 1, 0x31, 0, 0, 0];
  return Buffer.concat([Buffer.from(head), payload]);
}

/** The transport-wide number under `id`; undefined without one. */
function numberUnder(id: number, sent: Buffer | undefined): number | undefined {
  const view = new RtpView();
  if (!sent || !readRtp(sent, view)) return undefined;
  const at = findExtension(sent, view, id);
  return at < 0 ? undefined : sent.readUInt16BE(at);
}

test('a subscriber gets media, repeated packets and padding under the ids that it named, and others under ours', () => {
  const { subscribe, publication } = mediaBed();
  const rtx = { rtx: { ssrc: 7_777, firstSequence: 1 }, rtxPayloadType: 121 };
  const track = new KeptTrack();
  track.extensionIds = idsFor(FIREFOX);
  const { subscription } = subscribe(96, 10, { track, ...rtx });
  const other = subscribe(97, 20, rtx);
  publication.receive(packet(1, VP8_KEY));
  publication.receive(packet(2, VP8_DELTA));
  for (const [of, ssrc] of [
    [track, subscription.ssrc],
    [other.track, other.subscription.ssrc],
  ] as const)
    of.onPacket?.(buildNack(1, ssrc, [of === track ? 11 : 21]));
  subscription.pad(100, 1);
  other.subscription.pad(100, 1);
  expect(track.sent.map((sent) => numberUnder(7, sent))).toEqual([0, 1, 2, 3]);
  expect(track.sent.map((sent) => numberUnder(3, sent))).toEqual(new Array(4).fill(undefined));
  expect(other.track.sent.map((sent) => numberUnder(3, sent))).toEqual([0, 1, 2, 3]);
});

test('a subscriber that takes no transport-wide numbers gets none', () => {
  const { subscribe, publication } = mediaBed();
  const track = new KeptTrack();
  track.extensionIds = idsFor([{ value: 3, uri: EXTENSION.mid }]);
  subscribe(96, 10, { track });
  publication.receive(packet(1, VP8_KEY));
  expect(track.sent).toHaveLength(1);
  for (const id of [3, 7]) expect(numberUnder(id, track.sent[0])).toBeUndefined();
});

test('what was not agreed is left out, whatever a publisher sends; only packets with such elements are translated', () => {
  expect([...idsFor(OURS)].flatMap((id, from) => (id > 0 ? [[from, id]] : []))).toEqual([
    [2, 2],
    [3, 3],
    [5, 5],
  ]);
  expect(idsFor(OURS.slice(0, 2))[5]).toBe(0);
  expect(idsFor([...OURS.slice(0, 2), { value: 5, uri: 'urn:ietf:params:rtp-hdrext:toffset' }])[5]).toBe(0);
  const { subscribe, publication } = mediaBed();
  const track = new KeptTrack();
  track.extensionIds = idsFor(OURS);
  subscribe(96, 10, { track });
  const other = subscribe(97, 20);
  const described = packet(1, VP8_KEY);
  // A dependency descriptor beside the transport-wide number.
  described[15] = 2;
  publication.receive(Buffer.concat([described.subarray(0, 19), Buffer.from([0xc2, 0, 0, 1, 0]), VP8_KEY]));
  const [sent] = track.sent;
  expect([numberUnder(3, sent), numberUnder(12, sent)]).toEqual([0, undefined]);
  expect(track.rtp[0]?.payload).toEqual(VP8_KEY);
  expect(numberUnder(12, other.track.sent[0])).toBe(0);
});

test('elements that only fit two-byte headers are not accepted', () => {
  const offered = section([{ value: 15, uri: EXTENSION.sendTime }, ...FIREFOX.slice(2)]);
  expect(acceptedExtensions(offered, { ext: OURS })).toEqual([{ value: 7, uri: EXTENSION.transportSequence }]);
});
