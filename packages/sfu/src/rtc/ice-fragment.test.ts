import { expect, test } from 'vitest';
import { browserOffer } from '../testing/browser-offer.ts';
import { readIceFragment, withCredential, writeIceFragment } from './ice-fragment.ts';
import { readIce } from './sdp.ts';

const CANDIDATE = 'candidate:1 1 UDP 16777215 127.46.0.1 4000 typ relay raddr 0.0.0.0 rport 0';

test('a fragment gives its credential and candidates, those of every m-line', () => {
  const text = `a=ice-ufrag:abcd\r\na=ice-pwd:${'p'.repeat(22)}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=${CANDIDATE}\r\na=end-of-candidates\r\n`;
  expect(readIceFragment(text)).toEqual({
    credential: { ufrag: 'abcd', password: 'p'.repeat(22) },
    candidates: [CANDIDATE],
  });
  expect(readIceFragment(`a=${CANDIDATE}\n`)).toEqual({ credential: null, candidates: [CANDIDATE] });
  expect(readIceFragment('')).toEqual({ credential: null, candidates: [] });
});

test.each([
  ['half a credential', 'a=ice-ufrag:abcd'],
  ['a credential with other characters', 'a=ice-ufrag:ab cd\r\na=ice-pwd:pppp'],
  ['a candidate that is none', 'a=candidate:nonsense'],
  ['lines without end', 'a=x\n'.repeat(300)],
])('a fragment with %s is refused', (_what, text) => {
  expect(() => readIceFragment(text)).toThrow('the ICE fragment cannot be used');
});

test('an offer under another credential is the same offer without its candidates', () => {
  const offer = browserOffer([{ kind: 'audio', mid: '0' }]).replace(/^(a=mid:.*)$/m, `$1\r\na=${CANDIDATE}`);
  const renewed = withCredential(offer, { ufrag: 'zzzz', password: 'y'.repeat(22) });
  expect(readIce(renewed)).toEqual({ ufrag: 'zzzz', password: 'y'.repeat(22) });
  expect(renewed).not.toContain('candidate');
  expect(renewed.split('\r\n').length).toBe(offer.split(/\r?\n/).length - 1);
});

test('the ICE part of a description is one credential and its candidates, each once', () => {
  const offer = browserOffer([
    { kind: 'audio', mid: '0' },
    { kind: 'video', mid: '1' },
  ]).replace(/^(a=mid:.*)$/gm, `$1\r\na=${CANDIDATE}`);
  const read = readIceFragment(writeIceFragment(offer));
  expect(read).toEqual({ credential: readIce(offer), candidates: [CANDIDATE] });
  expect(writeIceFragment(offer)).toMatch(/^a=ice-ufrag:\S+\r\na=ice-pwd:\S+\r\nm=audio .*\r\na=mid:0\r\n/);
});
