import { parse } from 'sdp-transform';
import { expect, test } from 'vitest';
import { browserOffer, type OfferedLine } from '../testing/browser-offer.ts';
import { type Codec, PayloadTypes, readCodecs } from './codecs.ts';
import { downlinkSection, readUplink, uplinkSection } from './sections.ts';

const mediaOf = (line: Partial<OfferedLine> = {}) => {
  const [media] = parse(browserOffer([{ kind: 'video', mid: '0', ssrc: 500, ...line }])).media;
  if (!media) throw new Error('no media');
  return media;
};

test('readCodecs keeps what can be forwarded, in the order of the offer, with its retransmissions', () => {
  expect(
    readCodecs(mediaOf()).map(({ name, payloadType, rtxPayloadType }) => [name, payloadType, rtxPayloadType]),
  ).toEqual([
    ['VP8', 96, 97],
    ['H264', 103, undefined],
    ['AV1', 35, undefined],
  ]);
  expect(readCodecs(mediaOf({ kind: 'audio' })).map(({ name, channels }) => [name, channels])).toEqual([
    ['opus', 2],
    ['red', 2],
  ]);
  // RED of something that is not forwarded.
  const attributes = ['a=rtpmap:9 G722/8000', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 9/9'];
  expect(readCodecs(mediaOf({ kind: 'audio', attributes }))).toEqual([]);
});

test('readCodecs leaves out what is not written as its RFC says: others would be offered it like that', () => {
  const namesOf = (kind: 'audio' | 'video', ...attributes: string[]) =>
    readCodecs(mediaOf({ kind, attributes })).map(({ name }) => name);
  expect(namesOf('audio', 'a=rtpmap:111 opus/48000', 'a=rtpmap:112 opus/8000/2', 'a=rtpmap:113 opus/48000/9')).toEqual(
    [],
  );
  expect(namesOf('video', 'a=rtpmap:96 VP8/0', 'a=rtpmap:97 VP8/90000/2', 'a=rtpmap:98 VP8/90001')).toEqual([]);
  for (const config of ['x'.repeat(2_000), 'x=é', 'x=\u0001'])
    expect(namesOf('video', 'a=rtpmap:96 VP8/90000', `a=fmtp:96 ${config}`, 'a=rtpmap:98 VP9/90000')).toEqual(['VP9']);
});

test("Firefox's element of the mid has an id of ours and is left out: it describes the SSRCs of all its streams", () => {
  const attributes = [
    'a=rtpmap:120 VP8/90000',
    'a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid',
    'a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  ];
  const media = readUplink(mediaOf({ attributes }));
  expect(media?.extensions).toEqual([{ value: 4, uri: 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time' }]);
  expect(media?.encodings).toEqual([{ ssrc: 500, rtxSsrc: 501 }]);
});

test('two configurations of a codec that one decoder plays have one key', () => {
  const keyOf = (name: string, fmtp: string) =>
    readCodecs(mediaOf({ attributes: [`a=rtpmap:100 ${name}/90000`, `a=fmtp:100 ${fmtp}`] }))[0]?.key;
  expect(keyOf('H264', 'packetization-mode=1;profile-level-id=42001F')).toBe(
    keyOf('h264', 'profile-level-id=42001f; packetization-mode=1;level-asymmetry-allowed=1'),
  );
  expect(keyOf('H264', 'packetization-mode=0;profile-level-id=42001f')).toBe(keyOf('H264', 'profile-level-id=42001f'));
  const profile = (levelId: string) => keyOf('H264', `packetization-mode=1;profile-level-id=${levelId}`);
  expect(profile('640c1f')).not.toBe(profile('42001f'));
  expect(profile('42e01f')).not.toBe(profile('42001f'));
  // The level and the bits that say nothing about the profile: constrained baseline under three names.
  expect(profile('42e034')).toBe(profile('42e01f'));
  expect(profile('4d8015')).toBe(profile('42e01f'));
  expect(profile('42c02a')).toBe(profile('42e01f'));
  expect(keyOf('H265', 'level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST')).toBe(keyOf('H265', 'level-id=93'));
  expect(keyOf('H265', 'profile-id=2')).not.toBe(keyOf('H265', 'profile-id=1'));
  expect(keyOf('VP9', 'profile-id=2')).not.toBe(keyOf('VP9', 'profile-id=0'));
  expect(keyOf('VP8', 'x-google-start-bitrate=900')).toBe(keyOf('VP8', 'max-fs=12288'));
});

test('PayloadTypes never gives one number two meanings', () => {
  const types = new PayloadTypes();
  types.learn(mediaOf(), true);
  const codec = (name: string, payloadType: number): Codec => ({
    ...{ name, payloadType, clockRate: 90_000, channels: 1, fmtp: '', rtxPayloadType: undefined, feedback: [] },
    key: `${name.toLowerCase()}/90000/1;${name === 'VP9' ? 'profile-id=0' : ''}`,
  });
  expect(types.assign(codec('VP8', 120))).toBe(96);
  // 103 is the peer's H264: VP9 of a publisher that uses 103 for it moves on.
  const moved = types.assign(codec('VP9', 103));
  expect([96, 97, 103, 116, 35]).not.toContain(moved);
  expect(types.assign(codec('VP9', 98))).toBe(moved);
});

test('PayloadTypes remembers what a peer decodes, however many configurations it names afterwards', () => {
  const types = new PayloadTypes();
  types.learn(mediaOf(), true);
  const [vp8, h264] = readCodecs(mediaOf());
  if (!vp8 || !h264) throw new Error('no codecs');
  for (let round = 0; round < 2_000; round++)
    types.learn(mediaOf({ attributes: [`a=rtpmap:98 VP9/90000`, `a=fmtp:98 profile-id=${round}`] }), true);
  expect([vp8, h264].map((codec) => [types.decodes(codec), types.assign(codec)])).toEqual([
    [true, 96],
    [true, 103],
  ]);
  const [late] = readCodecs(mediaOf({ attributes: ['a=rtpmap:98 VP9/90000', 'a=fmtp:98 profile-id=1999'] }));
  expect(late && types.decodes(late)).toBe(false);
});

test('readUplink chooses transport-wide feedback where it is offered, else REMB', () => {
  const both = readUplink(mediaOf());
  expect(both).toMatchObject({
    ...{ encodings: [{ ssrc: 500, rtxSsrc: 501 }], nack: true, pli: true },
    ...{ remb: false, transportFeedback: true },
  });
  expect(both?.codecs[0]?.feedback).not.toContain('goog-remb');
  const old = readUplink(
    mediaOf({
      attributes: ['a=rtpmap:96 VP8/90000', 'a=rtcp-fb:96 goog-remb', 'a=rtcp-fb:96 ccm fir', 'a=rtcp-fb:96 nack'],
    }),
  );
  expect(old).toMatchObject({ remb: true, pli: false, transportFeedback: false });
});

test('readUplink forwards extensions under ids of ours, keeps mid for itself, and refuses an id that would mean two things', () => {
  const video = readUplink(mediaOf());
  expect(video?.extensions.map(({ value }) => value).sort((a, b) => a - b)).toEqual([3, 4, 13]);
  expect([video?.extensionIds[13], video?.extensionIds[4], video?.extensionIds[3]]).toEqual([13, 0, 3]);
  const odd = readUplink(
    mediaOf({
      attributes: [
        'a=rtpmap:96 VP8/90000',
        'a=extmap:13 urn:ietf:params:rtp-hdrext:sdes:mid',
        'a=extmap:7 urn:3gpp:video-orientation',
      ],
    }),
  );
  expect(odd?.extensions).toEqual([{ value: 7, uri: 'urn:3gpp:video-orientation' }]);
  expect(odd?.extensionIds[7]).toBe(13);
});

test('readUplink is null where nothing can be forwarded', () => {
  expect(readUplink(mediaOf({ attributes: ['a=rtpmap:100 H263/90000'] }))).toBeNull();
  expect(readUplink(mediaOf({ kind: 'audio', attributes: ['a=rtpmap:9 G722/8000'] }))).toBeNull();
});

test('the answer for an uplink names the accepted codecs with their retransmissions and a start bitrate for Chromium', () => {
  const media = readUplink(mediaOf());
  if (!media) throw new Error('nothing read');
  const section = uplinkSection(media);
  expect(section.payloads).toBe('96 97 103 35');
  expect(section.fmtp).toContainEqual({ payload: 97, config: 'apt=96' });
  expect(section.fmtp?.find(({ payload }) => payload === 96)?.config).toContain('x-google-start-bitrate');
  expect(section.ext).toEqual(media.extensions);
});

test("a downlink names the publisher's codec under the subscriber's number, and the stream it belongs to", () => {
  const [codec] = readCodecs(mediaOf());
  if (!codec) throw new Error('no codec');
  const section = downlinkSection({
    kind: 'video',
    codec,
    payloadType: 120,
    ssrc: 77,
    rtx: { payloadType: 121, ssrc: 78 },
    cname: 'p_1',
    streamId: 'p_1',
    trackId: 't_1',
  });
  expect(section).toMatchObject({
    payloads: '120 121',
    rtp: [
      { payload: 120, codec: 'VP8', rate: 90_000 },
      { payload: 121, codec: 'rtx', rate: 90_000 },
    ],
    fmtp: [{ payload: 121, config: 'apt=120' }],
    ssrcGroups: [{ semantics: 'FID', ssrcs: '77 78' }],
    msid: [{ id: 'p_1', appdata: 't_1' }],
  });
  expect(section.ext?.map(({ value }) => value)).toEqual([2, 3, 5, 13]);
  expect(section.rtcpFb?.map(({ type, subtype }) => [type, subtype].join(' ').trim())).toEqual([
    'nack',
    'nack pli',
    'ccm fir',
    'goog-remb',
    'transport-cc',
  ]);
  expect(section.ssrcs?.[0]).toEqual({ id: 77, attribute: 'cname', value: 'p_1' });
});

test('lost packets of Opus are asked for where the peer offers that, and may be asked for by subscribers', () => {
  const opus = (...feedback: string[]) =>
    mediaOf({
      kind: 'audio',
      attributes: ['a=rtpmap:111 opus/48000/2', ...feedback.map((value) => `a=rtcp-fb:111 ${value}`)],
    });
  expect(readUplink(opus('transport-cc'))?.nack).toBe(false);
  const media = readUplink(opus('nack', 'transport-cc'));
  if (!media) throw new Error('nothing read');
  expect(media.nack).toBe(true);
  expect(uplinkSection(media).rtcpFb).toContainEqual({ payload: 111, type: 'nack' });
  const section = downlinkSection({
    ...{ kind: 'audio', codec: media.codecs[0] as (typeof media.codecs)[0], payloadType: 111, ssrc: 77, rtx: null },
    ...{ cname: 'p_1', streamId: 'p_1', trackId: 't_1' },
  });
  expect(section.rtcpFb).toContainEqual({ payload: 111, type: 'nack' });
});
