import { PeerError, VirtualClock } from '@orama/core';
import fc from 'fast-check';
import { parse } from 'sdp-transform';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { browserOffer, type OfferedLine } from '../testing/browser-offer.ts';
import { until } from '../testing/test-peer.ts';
import type { Codec } from './codecs.ts';
import { RtcConnection } from './connection.ts';
import { MediaLines } from './media-lines.ts';
import { Negotiation } from './negotiation.ts';
import { readDescription } from './sdp.ts';
import { StunFront } from './stun-front.ts';

const VP8: Codec = {
  ...{ name: 'VP8', clockRate: 90_000, channels: 1, payloadType: 96, fmtp: '' },
  ...{ rtxPayloadType: undefined, feedback: [], key: 'vp8/90000/1;' },
};
const ADDRESS = '127.82.254.1';
const front = new StunFront({ address: ADDRESS, portStart: 40_000, portEnd: 40_099, clock: new VirtualClock() });
beforeAll(() => front.start());
afterAll(() => front.close());
const open: Negotiation[] = [];
afterEach(() => {
  for (const negotiation of open.splice(0)) negotiation.close();
});

function create(maxUplinks = 16, hasSparePort = true, isDecodable: (codec: Codec) => boolean = () => true) {
  const clock = new VirtualClock();
  const offers: string[] = [];
  const faults: unknown[] = [];
  const takePort = () => (hasSparePort ? () => {} : null);
  const negotiation = new Negotiation(
    {
      ...{ connection: { name: 'n', address: ADDRESS }, clock, forceRelay: true },
      ...{ maxUplinks, isDecodable, takePort, front },
    },
    {
      sendOffer: (sdp) => offers.push(sdp),
      sendCandidate: () => {},
      onChannel: () => {},
      onState: () => {},
      onControl: () => {},
      onPath: () => {},
      onFault: (thrown) => faults.push(thrown),
    },
  );
  open.push(negotiation);
  const refused: string[] = [];
  const add = (trackId: string) =>
    negotiation.addDownlink({
      ...{ kind: 'video', codec: VP8, cname: 'c', streamId: 's', trackId },
      onReady: () => {},
      onStopped: () => refused.push(trackId),
    });
  /** Lets microtasks and the pacing of offers pass. */
  const settle = async (ms = 200) => {
    await Promise.resolve();
    clock.advance(ms);
  };
  return { negotiation, clock, offers, faults, refused, add, settle };
}

const directions = (sdp: string) =>
  Object.fromEntries(parse(sdp).media.map(({ mid, direction, port }) => [String(mid), port === 0 ? 'off' : direction]));
/** What a browser answers to an offer of ours: the same m-lines the other way round. */
const answerTo = (sdp: string, change: (line: OfferedLine) => OfferedLine = (line) => line) =>
  browserOffer(
    parse(sdp).media.map(({ mid, type, direction, port }) =>
      change({
        kind: type as 'video',
        mid: String(mid),
        port: port === 0 ? 0 : 9,
        direction: direction === 'sendonly' ? 'recvonly' : direction === 'recvonly' ? 'sendonly' : 'inactive',
      }),
    ),
    'passive',
  );

test('an offer is answered with what is accepted, in its order; the DTLS client is always us', () => {
  const { negotiation } = create();
  const outcome = negotiation.handleOffer(
    browserOffer([
      { kind: 'audio', mid: '0', ssrc: 10 },
      { kind: 'video', mid: '1', ssrc: 20 },
      { kind: 'video', mid: '2', direction: 'recvonly' },
      { kind: 'video', mid: '3', attributes: ['a=rtpmap:100 H263/90000'] },
      { kind: 'application', mid: '4' },
    ]),
  );
  expect(directions(outcome.answer)).toMatchObject({ 0: 'recvonly', 1: 'recvonly', 2: 'inactive', 3: 'off' });
  expect(outcome.added.map(({ mid }) => mid)).toEqual(['0', '1']);
  expect(outcome.refused).toEqual(['3']);
  expect(parse(outcome.answer).media.map(({ setup }) => setup)).toEqual([
    'active',
    'active',
    'active',
    undefined,
    'active',
  ]);
});

test('header extensions of both forms are allowed in answers and later offers where the client allows them', async () => {
  for (const allows of [true, false]) {
    const { negotiation, offers, add, settle } = create();
    const offer = browserOffer([{ kind: 'video', mid: '0' }]);
    const { answer } = negotiation.handleOffer(offer.replace('t=0 0', allows ? '$&\r\na=extmap-allow-mixed' : '$&'));
    add('one');
    await settle();
    for (const sdp of [answer, offers[0] ?? '']) expect(sdp.includes('\r\na=extmap-allow-mixed\r\n')).toBe(allows);
  }
});

test('a track that is paused, taken back and sent again is told as removed and added', () => {
  const { negotiation } = create();
  const offer = (direction: string) =>
    negotiation.handleOffer(
      browserOffer([
        { kind: 'audio', mid: '0', direction, ssrc: 10 },
        { kind: 'video', mid: '1', ssrc: 20 },
      ]),
    );
  expect(offer('recvonly').added.map(({ mid }) => mid)).toEqual(['1']);
  expect(offer('sendonly')).toMatchObject({ added: [{ mid: '0' }], changed: [{ mid: '1' }], removed: [] });
  const paused = offer('inactive');
  expect(paused.removed).toEqual(['0']);
  expect(directions(paused.answer)).toEqual({ 0: 'inactive', 1: 'recvonly' });
});

test('an m-line that becomes one of another kind is another track', () => {
  const { negotiation } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0', ssrc: 10 }]));
  const before = negotiation.uplinkTrack('0');
  expect(negotiation.handleOffer(browserOffer([{ kind: 'video', mid: '0', ssrc: 10 }]))).toMatchObject({
    ...{ removed: ['0'], changed: [], added: [{ mid: '0', media: { kind: 'video' } }] },
  });
  expect(negotiation.uplinkTrack('0')).not.toBe(before);
});

test('only as many tracks as allowed are accepted', () => {
  const { negotiation } = create(1);
  const outcome = negotiation.handleOffer(
    browserOffer([
      { kind: 'audio', mid: '0' },
      { kind: 'video', mid: '1' },
    ]),
  );
  expect(directions(outcome.answer)).toEqual({ 0: 'recvonly', 1: 'inactive' });
  expect(outcome.refused).toEqual(['1']);
});

test('everything that happens in one turn goes into one offer, which follows the first offer of the client', async () => {
  const { negotiation, offers, add, settle } = create();
  add('one');
  add('two');
  await settle(50);
  expect(offers).toEqual([]);
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  // Never before the answer, which the caller sends.
  expect(offers).toEqual([]);
  await settle(0);
  expect(offers.map(directions)).toEqual([{ 0: 'recvonly', s0: 'sendonly', s1: 'sendonly' }]);
  add('three');
  await settle();
  expect(offers.length).toBe(1);
  negotiation.handleAnswer(answerTo(offers[0] as string));
  await settle();
  expect(offers.slice(1).map(directions)).toEqual([{ 0: 'recvonly', s0: 'sendonly', s1: 'sendonly', s2: 'sendonly' }]);
});

test('a client that publishes nothing is offered to after a moment, with our role and without candidates', async () => {
  const { offers, add, settle } = create();
  add('one');
  await settle(100);
  expect(offers.length).toBe(1);
  expect(parse(offers[0] as string).media[0]).toMatchObject({ setup: 'active', direction: 'sendonly' });
  expect(offers[0]).not.toMatch(/candidate/);
});

test('an offer that crosses ours is answered, and ours is made again with everything in it', async () => {
  const { negotiation, offers, faults, add, settle } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  add('one');
  await settle();
  expect(offers.length).toBe(1);
  const { answer } = negotiation.handleOffer(
    browserOffer([
      { kind: 'audio', mid: '0' },
      { kind: 'video', mid: '1' },
    ]),
  );
  expect(directions(answer)).toEqual({ 0: 'recvonly', 1: 'recvonly' });
  await settle();
  expect(offers.slice(1).map(directions)).toEqual([{ 0: 'recvonly', 1: 'recvonly', s0: 'sendonly' }]);
  negotiation.handleAnswer(answerTo(offers[1] as string));
  expect(negotiation.isOffering).toBe(false);
  expect(faults).toEqual([]);
});

test('an offer that crosses our first one meets a fresh connection, which leaves control of ICE to the client', async () => {
  const { negotiation, offers, faults, add, settle } = create();
  const client = new RtcConnection(
    { name: 'c', address: '127.82.254.2' },
    { onFault: (thrown) => faults.push(thrown) },
  );
  onTestFinished(() => client.close());
  add('one');
  await settle(100);
  expect(offers.length).toBe(1);
  client.sendTrack({
    ...{ mid: '0', kind: 'audio', ssrcs: [10], cname: 'c', streamId: 's', trackId: 't' },
    codec: { name: 'opus', payloadType: 111 },
  });
  const { answer } = negotiation.handleOffer(client.createLocal('offer'));
  const credentials = (sdp: string) => parse(sdp).media[0]?.iceUfrag;
  expect(credentials(answer)).not.toBe(credentials(offers[0] as string));
  client.setRemote('answer', answer);
  await until('the client to be connected', () => client.selectedPair() && client.track('0')?.isOpen);
  await settle();
  expect(offers.slice(1).map(directions)).toEqual([{ 0: 'recvonly', s0: 'sendonly' }]);
  expect(credentials(offers[1] as string)).toBe(credentials(answer));
  client.setRemote('offer', offers[1] as string);
  negotiation.handleAnswer(client.createLocal('answer'));
  expect(negotiation.isOffering).toBe(false);
  expect(faults).toEqual([]);
});

test('without a spare port, the connection that made the crossing offer takes it back and goes on', async () => {
  const { negotiation, offers, add, settle } = create(16, false);
  add('one');
  await settle(100);
  const { answer } = negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  await settle();
  expect(offers.slice(1).map(directions)).toEqual([{ 0: 'recvonly', s0: 'sendonly' }]);
  expect(parse(answer).media[0]?.iceUfrag).toBe(parse(offers[0] as string).media[0]?.iceUfrag);
});

test('an offer that is never answered is taken back and made again', async () => {
  const { negotiation, offers, add, settle } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  add('one');
  await settle();
  await settle(10_000);
  await settle();
  expect(offers.length).toBe(2);
  negotiation.handleAnswer(answerTo(offers[1] as string));
});

test('a freed m-line goes inactive, then carries the next track; a stopped one is never used again', async () => {
  const { negotiation, offers, refused, add, settle } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  const one = add('one');
  await settle();
  negotiation.handleAnswer(answerTo(offers[0] as string));
  negotiation.removeDownlink(one.mid, 4_711);
  await settle();
  expect(directions(offers[1] as string)).toEqual({ 0: 'recvonly', s0: 'inactive' });
  const early = add('while the line is still being freed');
  expect(early.mid).toBe('s1');
  negotiation.handleAnswer(answerTo(offers[1] as string));
  await settle();
  const two = add('two');
  expect(two.mid).toBe('s0');
  negotiation.handleAnswer(answerTo(offers[2] as string));
  await settle();
  negotiation.handleAnswer(answerTo(offers[3] as string, (line) => (line.mid === 's0' ? { ...line, port: 0 } : line)));
  expect(refused).toContain('two');
  expect(add('three').mid).toBe('s2');
  await settle();
  expect(directions(offers[4] as string)).toMatchObject({ s0: 'off', s2: 'sendonly' });
});

test('an m-line uses its two SSRCs in turn, and each goes on counting where it ended', async () => {
  const { negotiation, offers, add, settle } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  const places = [];
  for (const sent of [100, 200, 300, 400]) {
    const place = add(`until ${sent}`);
    await settle();
    expect(offers.at(-1)).toContain(`a=ssrc:${place.ssrc} `);
    negotiation.handleAnswer(answerTo(offers.at(-1) as string));
    negotiation.removeDownlink(place.mid, sent, sent + 10);
    await settle();
    expect(offers.at(-1)).not.toContain('a=ssrc:');
    negotiation.handleAnswer(answerTo(offers.at(-1) as string));
    places.push(place);
  }
  const [first, second, third, fourth] = places;
  expect(new Set(places.map(({ mid }) => mid))).toEqual(new Set(['s0']));
  // Chromium would decode a track that comes back with the SSRC before it, and show nothing.
  expect(second?.ssrc).not.toBe(first?.ssrc);
  expect(third).toMatchObject({ mid: 's0', ssrc: first?.ssrc, firstSequence: 100, rtx: { ssrc: first?.rtx?.ssrc } });
  expect(fourth).toMatchObject({ mid: 's0', ssrc: second?.ssrc, firstSequence: 200 });
  expect([first?.rtx?.firstSequence, third?.rtx?.firstSequence]).toEqual([first?.rtx?.firstSequence, 110]);
});

test('a subscriber that pauses an m-line in its own offer gets nothing until it takes the pause back', async () => {
  const { negotiation, offers, refused, add, settle } = create();
  const publish: OfferedLine = { kind: 'audio', mid: '0' };
  negotiation.handleOffer(browserOffer([publish]));
  add('one');
  await settle();
  negotiation.handleAnswer(answerTo(offers[0] as string));
  const offer = (direction: string) =>
    directions(negotiation.handleOffer(browserOffer([publish, { kind: 'video', mid: 's0', direction }])).answer).s0;
  expect(offer('inactive')).toBe('inactive');
  expect(refused).toEqual(['one']);
  expect(offer('recvonly')).toBe('sendonly');
});

test('a subscriber that cannot decode the codec refuses the track', async () => {
  const { negotiation, offers, refused, add, settle } = create();
  add('one');
  await settle(100);
  negotiation.handleAnswer(
    answerTo(offers[0] as string, (line) => ({ ...line, attributes: ['a=rtpmap:98 H264/90000'] })),
  );
  expect(refused).toEqual(['one']);
});

test('no payload type gets a second meaning, however many configurations a publisher goes through', async () => {
  const { negotiation, offers, refused, add, settle, faults } = create();
  const vp9 = (profile: number): Codec => ({ ...VP8, name: 'VP9', key: `vp9/90000/1;profile-id=${profile}` });
  add('one');
  const { mid } = add('two');
  for (let profile = 0; profile < 80; profile++) {
    negotiation.changeCodec(mid, vp9(profile));
    await settle(1_000);
    const [offer = ''] = offers.splice(0);
    const meanings = new Map<number, string>();
    for (const { rtp } of parse(offer).media)
      for (const { payload, codec } of rtp) {
        expect(`${payload} ${meanings.get(payload) ?? codec}`).toBe(`${payload} ${codec}`);
        meanings.set(payload, codec);
      }
    if (refused.includes('two')) break;
    const rtpmaps = new Map(parse(offer).media.map(({ mid, rtp }) => [String(mid), rtp]));
    const taken = ({ mid }: OfferedLine) =>
      (rtpmaps.get(mid) ?? []).map(({ payload, codec, rate }) => `a=rtpmap:${payload} ${codec}/${rate}`);
    negotiation.handleAnswer(answerTo(offer, (line) => ({ ...line, attributes: taken(line) })));
  }
  // What has a number already goes on.
  add('three');
  await settle(1_000);
  expect([refused, faults]).toEqual([['two'], []]);
});

test('retransmissions are offered under the number that the peer itself has for them', async () => {
  const { negotiation, offers, add, settle } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'video', mid: '0', ssrc: 5 }]));
  const { rtx, ssrc } = add('one');
  await settle();
  const [offer = ''] = offers;
  expect(offer).toContain(`a=ssrc-group:FID ${ssrc} ${rtx?.ssrc}`);
  expect(offer).toContain('a=fmtp:97 apt=96');
  expect(parse(offer).media.at(-1)?.payloads).toBe('96 97');
});

test('codecs that everybody decodes come first in our half of an m-line, in the answer and in later offers', async () => {
  let lacking = 'vp8';
  const { negotiation, offers, settle } = create(16, true, ({ name }) => name.toLowerCase() !== lacking);
  const { answer, added } = negotiation.handleOffer(browserOffer([{ kind: 'video', mid: '0', ssrc: 5 }]));
  const order = (sdp: string) => parse(sdp).media[0]?.payloads;
  expect(order(answer)).toBe('103 35 96 97');
  expect(added[0]?.media.codecs[0]?.name).toBe('H264');
  lacking = 'h264';
  negotiation.requestOffer();
  await settle();
  expect(order(offers[0] as string)).toBe('96 97 35 103');
});

test('what a peer decodes is what it lists or answers; where nothing speaks against it, everything', async () => {
  const { negotiation, offers, add, settle } = create();
  const codec = (name: string): Codec => ({ ...VP8, name, key: `${name.toLowerCase()}/90000/1;` });
  expect(negotiation.decodes(codec('H266'))).toBe(true);
  negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  expect(negotiation.decodes(VP8)).toBe(true);
  add('one');
  await settle();
  const lacks = (line: OfferedLine) => (line.mid === 's0' ? { ...line, attributes: ['a=rtpmap:98 H264/90000'] } : line);
  negotiation.handleAnswer(answerTo(offers[0] as string, lacks));
  expect(negotiation.decodes(VP8)).toBe(false);
});

test('RED counts as decoded where it is listed, whatever the number inside it means there', () => {
  const { negotiation } = create();
  const red: Codec = { ...VP8, name: 'red', fmtp: '111/111', clockRate: 48_000, channels: 2, key: 'red/48000/2;' };
  expect(negotiation.decodes(red)).toBe(true);
  const { added } = negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  expect(added[0]?.media.codecs.map(({ name }) => name)).toEqual(['opus', 'red']);
  expect(negotiation.decodes(red)).toBe(true);
  expect(negotiation.decodes({ ...red, fmtp: '9/9' })).toBe(true);
});

test('a simulcast track is answered with the layers that are taken; with other layers it is another track', () => {
  const { negotiation } = create();
  const offer = (...rids: string[]) => {
    const attributes = [
      ...['a=rtpmap:96 VP8/90000', 'a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id'],
      ...rids.map((rid) => `a=rid:${rid} send`),
      `a=simulcast:send ${rids.join(';')}`,
    ];
    return negotiation.handleOffer(browserOffer([{ kind: 'video', mid: '0', attributes }]));
  };
  const { answer, added } = offer('q', 'h', 'f');
  expect(answer).toContain('a=simulcast:recv q;h;f\r\n');
  expect(answer.match(/^a=rid:\w+ recv/gm)).toHaveLength(3);
  expect(answer).toContain('rtp-stream-id');
  expect(added[0]?.media.encodings.map(({ rid }) => rid)).toEqual(['q', 'h', 'f']);
  expect(offer('q', 'h', 'f')).toMatchObject({ added: [], changed: [{ mid: '0' }], removed: [] });
  expect(offer('q', 'h')).toMatchObject({ added: [{ mid: '0' }], changed: [], removed: ['0'] });
});

test('answers nobody asked for, for other m-lines, and mids of ours are refused', async () => {
  const { negotiation, offers, add, settle } = create();
  expect(() => negotiation.handleAnswer(browserOffer([{ kind: 'audio', mid: '0' }]))).toThrow(/no offer to answer/);
  expect(() => negotiation.handleOffer(browserOffer([{ kind: 'video', mid: 's7' }]))).toThrow(/server's own names/);
  const many = Array.from({ length: 65 }, (_, i) => ({ kind: 'audio' as const, mid: `${i}`, direction: 'inactive' }));
  expect(() => negotiation.handleOffer(browserOffer(many))).toThrow(/more than 64/);
  add('one');
  await settle(100);
  expect(offers.length).toBe(1);
  expect(() => negotiation.handleAnswer(browserOffer([{ kind: 'video', mid: 'other' }], 'passive'))).toThrow(
    /leaves out the m-line s0/,
  );
  const more = { kind: 'application' as const, mid: 'more' };
  const lines = parse(offers[0] as string).media.map(({ type, mid }) => ({ kind: type as 'video', mid: String(mid) }));
  expect(() => negotiation.handleAnswer(browserOffer([...lines, more], 'passive'))).toThrow(/m-lines that the offer/);
  negotiation.handleAnswer(answerTo(offers[0] as string));
});

test('an answer that is many times as long as our offer is not read', async () => {
  const { negotiation, offers, add, settle } = create();
  add('one');
  await settle(100);
  const answer = answerTo(offers[0] as string);
  expect(() => negotiation.handleAnswer(`${answer}${'a=x\r\n'.repeat(10_000)}`)).toThrow(/as long as the offer/);
  negotiation.handleAnswer(answer);
});

test('candidates: malformed ones are refused, those past TURN are of no use while relaying is forced', () => {
  const { negotiation } = create();
  expect(negotiation.handleCandidate('')).toBe(true);
  expect(negotiation.handleCandidate('candidate:1 1 udp 1 203.0.113.9 5000 typ relay raddr 0.0.0.0 rport 0')).toBe(
    true,
  );
  expect(negotiation.handleCandidate('candidate:1 1 udp 1 192.168.0.9 5000 typ host')).toBe(false);
  expect(() => negotiation.handleCandidate('nonsense')).toThrow(PeerError);
});

test('an offer whose codecs, ids and SSRCs are not what they should be is read without them', () => {
  const { negotiation } = create();
  const attributes = [
    'a=rtpmap:96 VP8/90000',
    'a=rtpmap:97 8/90000',
    'a=rtpmap:99999999999999999999 VP9/90000',
    'a=rtcp-fb:96 7 8',
    'a=extmap:99999999999999999999 urn:3gpp:video-orientation',
    'a=ssrc:99999999999999999999 cname:x',
    'a=ssrc:5 6',
  ];
  const { added } = negotiation.handleOffer(browserOffer([{ kind: 'video', mid: '0', attributes }]));
  expect(added).toMatchObject([{ media: { codecs: [{ name: 'VP8' }], extensions: [] } }]);
});

test('damaged offers and answers end in a PeerError or in a description, never in anything else', () => {
  const lines = browserOffer([
    { kind: 'audio', mid: '0', ssrc: 5 },
    { kind: 'video', mid: '1', ssrc: 7 },
  ]).split('\r\n');
  const mutation = fc.record({ at: fc.nat(lines.length - 1), text: fc.string({ maxLength: 20 }), cut: fc.nat(60) });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      const { negotiation, faults } = create();
      const mutated = [...lines];
      for (const { at, text, cut } of mutations) mutated[at] = (mutated[at] as string).slice(0, cut) + text;
      for (const apply of [
        () => negotiation.handleOffer(mutated.join('\r\n')),
        () => negotiation.handleAnswer(mutated.join('\r\n')),
      ]) {
        try {
          apply();
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(PeerError);
        }
      }
      negotiation.close();
      expect(faults).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

test('a description with another DTLS fingerprint is of another connection, and refused', () => {
  const { negotiation } = create();
  const offer = browserOffer([{ kind: 'video', mid: '0', ssrc: 5 }]);
  negotiation.handleOffer(offer);
  expect(() => negotiation.handleOffer(offer.replaceAll('AB:AB', 'CD:CD'))).toThrow(/fingerprint changed/);
});

const credentialsOf = (sdp: string) => new Set(parse(sdp).media.map(({ iceUfrag }) => String(iceUfrag)));
const portsOf = (sdp: string) =>
  parse(sdp).media.flatMap(({ candidates }) => (candidates ?? []).map(({ port }) => port));

test('an offer that restarts ICE is answered with credentials of our own and the front alone; so are all that follow', () => {
  const { negotiation } = create();
  const first = browserOffer([{ kind: 'video', mid: '0', ssrc: 5 }]);
  const before = negotiation.handleOffer(first).answer;
  expect(portsOf(before)).toHaveLength(2);
  const restart = first.replaceAll('browser1', 'browser2');
  const outcome = negotiation.handleOffer(restart);
  expect(outcome).toMatchObject({ added: [], removed: [] });
  expect(credentialsOf(outcome.answer)).not.toEqual(credentialsOf(before));
  expect(portsOf(outcome.answer)).toEqual([front.endpoint.port]);
  const again = negotiation.handleOffer(restart).answer;
  expect(credentialsOf(again)).toEqual(credentialsOf(outcome.answer));
});

test('restartIce() offers other credentials until the peer restarts as well, and no longer', async () => {
  const { negotiation, offers, settle, add } = create();
  negotiation.handleOffer(browserOffer([{ kind: 'video', mid: '0', ssrc: 5 }]));
  add('t1');
  await settle();
  negotiation.handleAnswer(answerTo(offers[0] as string));
  negotiation.restartIce();
  await settle();
  const restart = offers[1] as string;
  expect(credentialsOf(restart)).not.toEqual(credentialsOf(offers[0] as string));
  expect(portsOf(restart)).toEqual([front.endpoint.port]);
  negotiation.handleAnswer(answerTo(restart).replaceAll('browser1', 'browser2'));
  negotiation.requestOffer();
  await settle();
  expect(credentialsOf(offers[2] as string)).toEqual(credentialsOf(restart));
});

test('an offer of ours that restarts ICE and is crossed gives way, and is made again with other credentials', async () => {
  const { negotiation, offers, settle } = create();
  const first = browserOffer([{ kind: 'video', mid: '0', ssrc: 5 }]);
  const before = negotiation.handleOffer(first).answer;
  negotiation.restartIce();
  await settle();
  const { answer } = negotiation.handleOffer(first);
  expect(credentialsOf(answer)).toEqual(credentialsOf(before));
  await settle();
  expect(credentialsOf(offers[1] as string)).not.toEqual(credentialsOf(offers[0] as string));
  expect(credentialsOf(offers[1] as string)).not.toEqual(credentialsOf(before));
});

const CHAT = { protocol: '', ordered: true };

test('a data m-line is offered once, with the first channel, whatever else is sent or not', async () => {
  const { negotiation, offers, settle, add, faults } = create();
  negotiation.openChannel('chat', CHAT);
  negotiation.openChannel('files', CHAT);
  await settle();
  expect(parse(offers[0] as string).media).toMatchObject([
    { mid: 's-data', type: 'application', sctpPort: 5_000, maxMessageSize: 65_536 },
  ]);
  negotiation.handleAnswer(answerTo(offers[0] as string));
  negotiation.openChannel('more', CHAT);
  await settle();
  expect(offers).toHaveLength(1);
  add('camera');
  await settle();
  expect(parse(offers[1] as string).media.map(({ mid }) => mid)).toEqual(['s-data', 's0']);
  expect(faults).toEqual([]);
});

test('our first offer has a data m-line after those of media, without any channel; an offer to a publisher has none', async () => {
  const [receiver, publisher] = [create(), create()];
  publisher.negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: '0' }]));
  for (const { add, settle } of [receiver, publisher]) {
    add('camera');
    await settle();
  }
  const mids = ({ offers }: typeof receiver) => parse(offers[0] as string).media.map(({ mid }) => String(mid));
  expect([mids(receiver), mids(publisher)]).toEqual([
    ['s0', 's-data'],
    ['0', 's0'],
  ]);
});

test('a peer that refuses the data m-line is not asked again, and keeps its media', async () => {
  const { negotiation, offers, settle, add, faults, refused } = create();
  add('camera');
  const channel = negotiation.openChannel('chat', CHAT);
  await settle();
  negotiation.handleAnswer(
    answerTo(offers[0] as string, (line) => (line.mid === 's-data' ? { ...line, port: 0 } : line)),
  );
  negotiation.openChannel('more', CHAT);
  await settle();
  expect(offers).toHaveLength(1);
  add('screen');
  await settle();
  expect(directions(offers[1] as string)).toEqual({ s0: 'sendonly', 's-data': 'off', s1: 'sendonly' });
  expect(channel.isOpen).toBe(false);
  expect([faults, refused]).toEqual([[], []]);
});

test("the peer's own data m-line serves our channels too, and a second one is refused", async () => {
  const { negotiation, offers, settle } = create();
  const { answer } = negotiation.handleOffer(
    browserOffer([
      { kind: 'application', mid: '0' },
      { kind: 'application', mid: '1' },
    ]),
  );
  expect(parse(answer).media.map(({ port }) => port > 0)).toEqual([true, false]);
  negotiation.openChannel('chat', CHAT);
  await settle();
  expect(offers).toEqual([]);
});

test('an m-line that becomes one of data ends its track, and one of data may become a track', () => {
  const { negotiation } = create();
  const camera = { kind: 'video' as const, mid: '0' };
  const offer = (kind: 'audio' | 'application') => negotiation.handleOffer(browserOffer([camera, { kind, mid: '1' }]));
  expect(offer('application').added.map(({ mid }) => mid)).toEqual(['0']);
  expect(offer('audio')).toMatchObject({ added: [{ mid: '1', media: { kind: 'audio' } }], removed: [], refused: [] });
  expect(offer('application')).toMatchObject({ added: [], changed: [{ mid: '0' }], removed: ['1'], refused: [] });
});

test('nothing is kept of data m-lines that a peer does not offer any more', () => {
  const lines = new MediaLines(
    16,
    () => undefined,
    () => true,
  );
  for (let i = 0; i < 100; i++) {
    const remote = readDescription(browserOffer([{ kind: 'application', mid: `data${i}` }]));
    lines.apply(remote, lines.plan(remote), true);
  }
  const isKnown = (mid: string) => lines.section(mid) === undefined;
  expect(Array.from({ length: 100 }, (_, i) => `data${i}`).filter(isKnown)).toEqual(['data99']);
});

test('a peer may not name an m-line as our data m-line is named', () => {
  const { negotiation } = create();
  expect(() => negotiation.handleOffer(browserOffer([{ kind: 'audio', mid: 's-data' }]))).toThrow(PeerError);
});
