import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, chooseSfu } from './choose-sfu.ts';

const candidate = (node: string, peers: number): Candidate => ({
  sfu: { nodeId: node, namespace: 'demo', address: '127.84.0.1', port: 30_000 },
  peers,
});

describe('chooseSfu', () => {
  it('takes the SFU with the fewest peers', () => {
    expect(chooseSfu([candidate('a', 3), candidate('b', 1), candidate('c', 2)], 'demo', 'r')?.nodeId).toBe('b');
    expect(chooseSfu([], 'demo', 'r')).toBeUndefined();
  });

  it('takes the same one whatever the order they are listed in', () => {
    const nodes = fc.uniqueArray(fc.record({ node: fc.stringMatching(/^[a-z]{1,5}$/), peers: fc.nat(3) }), {
      selector: ({ node }) => node,
      minLength: 1,
    });
    fc.assert(
      fc.property(nodes, fc.string(), (given, room) => {
        const candidates = given.map(({ node, peers }) => candidate(node, peers));
        const chosen = chooseSfu(candidates, 'demo', room);
        expect(chooseSfu([...candidates].reverse(), 'demo', room)).toEqual(chosen);
      }),
    );
  });

  it('spreads rooms over SFUs of equal load', () => {
    const all = ['a', 'b', 'c'].map((node) => candidate(node, 0));
    const counts = new Map<string, number>();
    for (let room = 0; room < 300; room++) {
      const node = chooseSfu(all, 'demo', `room-${room}`)?.nodeId ?? '';
      counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(['a', 'b', 'c']);
    for (const count of counts.values()) expect(count).toBeGreaterThan(60);
  });
});
