import { expect, test } from 'vitest';
import { RelayedCandidates } from './relayed-candidates.ts';
import { parseCandidate } from './sdp.ts';

const candidate = (port: number, type: string) => {
  const parsed = parseCandidate(`candidate:1 1 udp 1 203.0.113.1 ${port} typ ${type} raddr 0.0.0.0 rport 0`);
  if (!parsed) throw new Error('the candidate of the test is malformed');
  return parsed;
};
const at = (port: number) => ({ address: '203.0.113.1', port });

test('only relayed candidates are kept', () => {
  const relays = new RelayedCandidates();
  expect([relays.note(candidate(1, 'relay')), relays.note(candidate(2, 'srflx'))]).toEqual([true, false]);
  expect([relays.has(at(1)), relays.has(at(2))]).toEqual([true, false]);
  expect(relays.has({ address: '203.0.113.2', port: 1 })).toBe(false);
});

test('however often a peer looked for another relay, the one in use is known, and one from long ago no longer', () => {
  const relays = new RelayedCandidates();
  for (let port = 1; port <= 1_000; port++) {
    relays.note(candidate(port, 'relay'));
    // Named again, it counts as one of the newest.
    if (port === 900) relays.note(candidate(700, 'relay'));
  }
  expect([1, 699, 700, 701, 1_000].map((port) => relays.has(at(port)))).toEqual([false, false, true, false, true]);
});
