import { describe, expect, it } from 'vitest';
import { judgeReceived, judgeTimes, type Received, summarize } from './measure.ts';

const row = (page: string, from: string): Received => ({
  page,
  from,
  framesDecoded: 100,
  width: 640,
  height: 480,
  framesPerSecond: 20,
  bitrateBps: 1_000_000,
  audioEnergy: 0.2,
  pair: 'relay/udp to 127.77.0.2:20000',
  rttMs: 1,
});

const SFUS = ['127.77.0.1', '127.77.0.2'];

describe('judgeReceived', () => {
  it('finds nothing wrong with two pages that see and hear each other through TURN', () => {
    expect(judgeReceived([row('alice', 'bob'), row('bob', 'alice')], SFUS)).toEqual([]);
  });

  it('names what a page misses and of whom', () => {
    const bad: Received = {
      ...row('bob', 'alice'),
      framesDecoded: 0,
      audioEnergy: 0,
      pair: 'host/udp to 127.77.0.2:20000',
    };
    expect(judgeReceived([row('alice', 'bob'), bad], SFUS)).toEqual([
      'bob decoded no frame from alice',
      'bob heard nothing from alice',
      'bob is not connected through TURN (host/udp to 127.77.0.2:20000) from alice',
    ]);
  });

  it('names a pair that ends at another address, also one that begins like an SFU', () => {
    const elsewhere = { ...row('bob', 'alice'), pair: 'relay/udp to 127.77.0.22:20000' };
    expect(judgeReceived([row('alice', 'bob'), elsewhere], SFUS)).toEqual([
      'bob is not connected to an SFU of the namespace (relay/udp to 127.77.0.22:20000) from alice',
    ]);
  });

  it('counts the pages that are seen', () => {
    expect(judgeReceived([row('alice', 'bob')], SFUS)).toEqual(['the two pages see 1 others instead of 2']);
  });
});

describe('summarize', () => {
  it('answers median and worst, and keeps the order of the times', () => {
    expect(summarize([300, 100.4, 200])).toEqual({ count: 3, medianMs: 200, worstMs: 300, allMs: [300, 100, 200] });
    expect(summarize([100, 200]).medianMs).toBe(150);
  });
});

describe('judgeTimes', () => {
  const fine = summarize([100, 200, 300]);

  it('takes a slow join among fast ones, but not half of them or one that hangs', () => {
    expect(judgeTimes(summarize([100, 200, 4_900]), fine)).toEqual([]);
    expect(judgeTimes(summarize([1_300, 1_400, 1_200]), fine)).toHaveLength(1);
    expect(judgeTimes(summarize([100, 200, 9_000]), fine)).toHaveLength(1);
  });

  it('wants leaves to be seen within a second', () => {
    expect(judgeTimes(fine, summarize([1_100]))).toEqual([
      'half of the leaves take 1100 ms or more; at most 1000 ms are right',
    ]);
  });
});
