import fc from 'fast-check';
import { parse } from 'sdp-transform';
import { expect, test } from 'vitest';
import { browserOffer } from '../testing/browser-offer.ts';
import { readSimulcast, simulcastSection } from './simulcast.ts';

const PAYLOAD_TYPES = [96, 103];

function mediaOf(...attributes: string[]) {
  const sdp = browserOffer([{ kind: 'video', mid: '0', attributes: ['a=rtpmap:96 VP8/90000', ...attributes] }]);
  const [media] = parse(sdp).media;
  if (!media) throw new Error('no media');
  return media;
}
const read = (...attributes: string[]) => readSimulcast(mediaOf(...attributes), PAYLOAD_TYPES);
const RIDS = ['a=rid:q send', 'a=rid:h send', 'a=rid:f send'];

test('readSimulcast: the layers of an offer as Chromium writes it, without SSRCs, and the answer that takes them', () => {
  const { encodings, rids } = read(...RIDS, 'a=simulcast:send q;h;f');
  expect(encodings.map(({ rid }) => rid)).toEqual(['q', 'h', 'f']);
  expect(encodings.every(({ ssrc, rtxSsrc }) => ssrc === undefined && rtxSsrc === undefined)).toBe(true);
  expect(simulcastSection(rids)).toEqual({
    rids: ['q', 'h', 'f'].map((id) => ({ id, direction: 'recv' })),
    simulcast: { dir1: 'recv', list1: 'q;h;f' },
  });
});

test('readSimulcast: the SSRCs that Firefox writes besides belong to the layers in their order', () => {
  const pairs = ['1 2', '3 4', '5 6'].map((pair) => `a=ssrc-group:FID ${pair}`);
  expect(read(...RIDS, 'a=simulcast:send q;h;f', ...pairs).encodings).toEqual([
    { rid: 'q', ssrc: 1, rtxSsrc: 2 },
    { rid: 'h', ssrc: 3, rtxSsrc: 4 },
    { rid: 'f', ssrc: 5, rtxSsrc: 6 },
  ]);
});

test('readSimulcast: layers of an ssrc-group are numbered, and the answer has nothing to say about them', () => {
  const { encodings, rids } = read(
    'a=ssrc-group:SIM 10 20 30',
    ...['10 11', '20 21', '30 31'].map((pair) => `a=ssrc-group:FID ${pair}`),
  );
  expect(encodings).toEqual([
    { rid: '0', ssrc: 10, rtxSsrc: 11 },
    { rid: '1', ssrc: 20, rtxSsrc: 21 },
    { rid: '2', ssrc: 30, rtxSsrc: 31 },
  ]);
  expect(simulcastSection(rids)).toEqual({});
});

test('readSimulcast: one stream, with or without its SSRC', () => {
  expect(read('a=ssrc:7 cname:x').encodings).toEqual([{ ssrc: 7 }]);
  expect(read('a=ssrc:7 cname:x', 'a=ssrc-group:FID 9 7').encodings).toEqual([{ ssrc: 9, rtxSsrc: 7 }]);
  expect(read().encodings).toHaveLength(1);
});

test('readSimulcast: restrictions are repeated, payload types that are not accepted left out, unknown ones cost the layer', () => {
  const { rids } = read(
    'a=rid:q send max-width=320;max-br=150000',
    'a=rid:h send pt=96,120',
    'a=rid:f send pt=120',
    'a=rid:x send colour=red',
    'a=simulcast:send ~q;h,f;f;x',
  );
  expect(rids).toEqual([
    { id: 'q', direction: 'send', params: 'max-width=320;max-br=150000' },
    { id: 'h', direction: 'send', params: 'pt=96' },
  ]);
});

test('readSimulcast: at most four layers, each once, each declared; what the peer would receive is not ours to take', () => {
  const six = ['a', 'b', 'c', 'd', 'e', 'g'];
  const attributes = six.map((id) => `a=rid:${id} send`);
  expect(read(...attributes, `a=simulcast:send ${six.join(';')}`).rids).toHaveLength(4);
  expect(read(...RIDS, 'a=simulcast:send q;q;z').rids).toEqual([{ id: 'q', direction: 'send' }]);
  expect(read('a=rid:q recv', 'a=simulcast:recv q').rids).toEqual([]);
  expect(read(...RIDS, 'a=rid:1 recv', 'a=simulcast:recv 1 send q;h').rids.map(({ id }) => id)).toEqual(['q', 'h']);
  expect(read('a=rid:1 send', 'a=rid:2 send', 'a=simulcast:send 1;2').encodings.map(({ rid }) => rid)).toEqual([
    '1',
    '2',
  ]);
});

test('readSimulcast: whatever is written there, there is at least one stream and no more than four', () => {
  const text = fc.string({ maxLength: 24 });
  fc.assert(
    fc.property(text, text, text, (rid, list, group) => {
      const { encodings } = read(`a=rid:${rid}`, `a=simulcast:${list}`, `a=ssrc-group:${group}`, ...RIDS);
      expect(encodings.length).toBeGreaterThan(0);
      expect(encodings.length).toBeLessThan(5);
    }),
  );
});
