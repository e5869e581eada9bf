import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isReliable, readChannelTerms, writeChannelProtocol } from './channel-terms.ts';

test.each([
  ['', { ordered: true }],
  ['to=p_1', { to: 'p_1', ordered: true }],
  ['to=p_1&ordered=false&maxRetransmits=0', { to: 'p_1', ordered: false, maxRetransmits: 0 }],
  ['maxPacketLifeTime=65535', { ordered: true, maxPacketLifeTime: 65_535 }],
  ['json', { ordered: true }],
])('readChannelTerms() understands "%s"', (protocol, terms) => {
  expect(readChannelTerms(protocol)).toEqual(terms);
});

test.each([
  'to=',
  'ordered=no',
  'maxRetransmits=-1',
  'maxRetransmits=65536',
  'maxRetransmits=1e3',
  'maxRetransmits=',
  'maxRetransmits=1&maxPacketLifeTime=1',
  `to=${'p'.repeat(254)}`,
])('readChannelTerms() refuses "%s"', (protocol) => {
  expect(readChannelTerms(protocol)).toBeNull();
});

test('a channel that limits its repeats is not reliable', () => {
  expect(isReliable({ ordered: false })).toBe(true);
  expect(isReliable({ ordered: true, maxRetransmits: 0 })).toBe(false);
  expect(isReliable({ ordered: true, maxPacketLifeTime: 100 })).toBe(false);
});

test('readChannelTerms() never throws, and what it reads survives writing', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('to', 'ordered', 'maxRetransmits', 'true', 'false', '1', '&', '='),
  );
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const terms = readChannelTerms(words.join(''));
      if (terms && (terms.to?.length ?? 0) < 50)
        expect(readChannelTerms(writeChannelProtocol('p_x', terms))).toEqual(terms);
    }),
  );
});
