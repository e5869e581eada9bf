import { PeerError } from '@orama/core';
import fc from 'fast-check';
import { parse } from 'sdp-transform';
import { expect, test } from 'vitest';
import { browserOffer } from '../testing/browser-offer.ts';
import { type LocalLine, lineCount, parseCandidate, readDescription, writeForNative, writeForPeer } from './sdp.ts';

test('readDescription tells which m-lines send, receive and are off', () => {
  const { sections } = readDescription(
    browserOffer([
      { kind: 'audio', mid: '0' },
      { kind: 'video', mid: '1', direction: 'recvonly' },
      { kind: 'video', mid: '2', direction: 'inactive' },
      { kind: 'video', mid: '3', port: 0 },
      { kind: 'application', mid: '4' },
    ]),
  );
  expect(sections.map(({ mid, sends, receives, rejected }) => [mid, sends, receives, rejected])).toEqual([
    ['0', true, false, false],
    ['1', false, true, false],
    ['2', false, false, false],
    ['3', false, false, true],
    ['4', true, true, false],
  ]);
});

test.each([
  ['nothing', ''],
  ['no SDP', 'hello'],
  ['no m-line', 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n'],
  [
    'the same mid twice',
    browserOffer([
      { kind: 'audio', mid: '0' },
      { kind: 'video', mid: '0' },
    ]),
  ],
  ['no mid', browserOffer([{ kind: 'audio', mid: '0' }]).replace('a=mid:0\r\n', '')],
  ['a mid of 33 characters', browserOffer([{ kind: 'audio', mid: 'm'.repeat(33) }])],
  ['text media', browserOffer([{ kind: 'audio', mid: '0' }]).replace('m=audio', 'm=text')],
  ['1025 m-lines', browserOffer(Array.from({ length: 1_025 }, (_, i) => ({ kind: 'audio' as const, mid: `${i}` })))],
  [
    '65 candidates',
    browserOffer([{ kind: 'audio', mid: '0' }]) + 'a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n'.repeat(65),
  ],
  ['500 SSRCs', browserOffer([{ kind: 'audio', mid: '0' }]) + 'a=ssrc:1 cname:x\r\n'.repeat(500)],
  ['10,001 lines', browserOffer([{ kind: 'audio', mid: '0' }]) + 'a=x\r\n'.repeat(10_001)],
  ['10,001 lines that end with CR alone', browserOffer([{ kind: 'audio', mid: '0' }]) + 'a=x\r'.repeat(10_001)],
])('readDescription refuses %s', (_what, sdp) => {
  expect(() => readDescription(sdp)).toThrow(PeerError);
});

test('lineCount() counts the lines that the parser reads, however they end', () => {
  const text = fc.array(fc.constantFrom('\r', '\n', '\r\n', 'a', 'a=b'), { maxLength: 50 });
  fc.assert(
    fc.property(text, (parts) => {
      const sdp = parts.join('');
      expect(lineCount(sdp)).toBe(sdp.split(/\r\n|\r|\n/).length);
    }),
  );
});

test('readDescription returns or throws PeerError, whatever comes', () => {
  const lines = browserOffer([
    { kind: 'audio', mid: '0', ssrc: 5 },
    { kind: 'application', mid: '1' },
  ]).split('\r\n');
  const mutation = fc.record({ at: fc.nat(lines.length - 1), text: fc.string({ maxLength: 30 }), cut: fc.nat(40) });
  fc.assert(
    fc.property(fc.array(mutation, { maxLength: 5 }), (mutations) => {
      const mutated = [...lines];
      for (const { at, text, cut } of mutations) mutated[at] = (mutated[at] as string).slice(0, cut) + text;
      try {
        const remote = readDescription(mutated.join('\r\n'));
        writeForNative(remote);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(PeerError);
      }
    }),
    { numRuns: 500 },
  );
});

test('writeForNative hands over transport, one m-line for all media and the data channels, and no candidate', () => {
  const sdp = browserOffer([
    { kind: 'audio', mid: '0', direction: 'recvonly' },
    { kind: 'video', mid: '1', ssrc: 500 },
    { kind: 'application', mid: '2' },
  ]).replace('a=mid:0', 'a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\na=end-of-candidates\r\na=mid:0');
  const written = writeForNative(readDescription(sdp));
  expect(written).not.toMatch(/candidate|ssrc/);
  const session = parse(written);
  expect(session.groups).toEqual([{ type: 'BUNDLE', mids: 'media 2' }]);
  expect(session.media.map(({ mid, type, direction }) => [mid, type, direction])).toEqual([
    ['media', 'video', 'sendrecv'],
    [2, 'application', undefined],
  ]);
  expect(session.media.map(({ iceUfrag, setup }) => [iceUfrag, setup])).toEqual([
    ['browser1', 'actpass'],
    ['browser1', 'actpass'],
  ]);
  const pinned = writeForNative(readDescription(sdp), { ufrag: 'first', password: '0123456789abcdefghijklmn' });
  expect(parse(pinned).media.map(({ iceUfrag }) => iceUfrag)).toEqual(['first', 'first']);
});

const DOOR = {
  ...{ foundation: 2, component: 1, transport: 'udp', priority: 9, ip: '10.0.0.2', port: 20_499, type: 'host' },
};

test('writeForPeer keeps ICE and DTLS and says nothing about media but what it is given', () => {
  const native = browserOffer([{ kind: 'video', mid: 'media', ssrc: 5 }]);
  const rtp = [{ payload: 111, codec: 'opus', rate: 48_000, encoding: 2 }];
  const lines: LocalLine[] = [
    {
      mid: '0',
      type: 'audio',
      protocol: 'UDP/TLS/RTP/SAVPF',
      section: { direction: 'recvonly', payloads: '111', rtp },
    },
    { mid: '1', type: 'video', protocol: 'UDP/TLS/RTP/SAVPF', section: null },
    { mid: '2', type: 'application', protocol: 'UDP/DTLS/SCTP', section: undefined },
    { mid: '3', type: 'application', protocol: 'UDP/DTLS/SCTP', section: null },
  ];
  const written = writeForPeer(native, 'active', { credential: null, candidate: DOOR }, lines, true);
  expect(written).toContain('a=extmap-allow-mixed');
  expect(parse(written).media.map(({ mid, port }) => [mid, port])).toEqual([
    [0, 9],
    [1, 0],
    [2, 9],
    [3, 0],
  ]);
  const [audio, video, data] = parse(written).media;
  expect(audio).toMatchObject({
    port: 9,
    direction: 'recvonly',
    setup: 'active',
    iceUfrag: 'browser1',
    rtcpMux: 'rtcp-mux',
  });
  expect(audio?.rtp).toEqual([{ payload: 111, codec: 'opus', rate: 48_000, encoding: 2 }]);
  expect(audio?.ext).toBeUndefined();
  expect(video).toMatchObject({ port: 0, direction: 'inactive' });
  expect(video?.ssrcs).toBeUndefined();
  expect(data).toMatchObject({ type: 'application', sctpPort: 5_000 });
  expect(written).toContain('a=group:BUNDLE 0 2');
});

test('parseCandidate reads trickled candidates with and without their prefix, and nothing else', () => {
  const relay = '1 1 udp 41885439 203.0.113.9 50123 typ relay raddr 0.0.0.0 rport 0 generation 0 ufrag x';
  for (const line of [relay, `candidate:${relay}`])
    expect(parseCandidate(line)).toMatchObject({ type: 'relay', ip: '203.0.113.9', port: 50_123 });
  for (const line of ['', 'garbage', 'candidate:', `${relay}\r\na=ice-pwd:stolen`])
    expect(parseCandidate(line)).toBeNull();
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), (line) => {
      parseCandidate(line);
    }),
  );
});
