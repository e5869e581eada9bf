import { describe, expect, it } from 'vitest';
import { judgeJoins, judgeReceived, type Received, summarize } from './measure.ts';

const row = (page: string, from: string): Received => ({
  page,
  from,
  framesDecoded: 100,
  width: 640,
  height: 480,
  framesPerSecond: 20,
  bitrateBps: 1_000_000,
  audioEnergy: 0.2,
  pair: 'relay/udp to 127.77.0.2',
  rttMs: 1,
});

describe('judgeReceived', () => {
  it('finds nothing wrong with two pages that see and hear each other through TURN', () => {
    expect(judgeReceived([row('alice', 'bob'), row('bob', 'alice')])).toEqual([]);
  });

  it('names what a page misses and of whom', () => {
    const bad: Received = { ...row('bob', 'alice'), framesDecoded: 0, audioEnergy: 0, pair: 'host/udp to 127.77.0.2' };
    expect(judgeReceived([row('alice', 'bob'), bad])).toEqual([
      'bob decoded no frame from alice',
      'bob heard nothing from alice',
      'bob is not connected through TURN (host/udp to 127.77.0.2) from alice',
    ]);
  });

  it('counts the pages that are seen', () => {
    expect(judgeReceived([row('alice', 'bob')])).toEqual(['the two pages see 1 others instead of 2']);
  });
});

describe('summarize', () => {
  it('answers median and worst, and keeps the order of the times', () => {
    expect(summarize([300, 100.4, 200])).toEqual({ count: 3, medianMs: 200, worstMs: 300, allMs: [300, 100, 200] });
    expect(summarize([100, 200]).medianMs).toBe(150);
  });

  it('is judged by its median', () => {
    expect(judgeJoins(summarize([100, 200, 9000]))).toEqual([]);
    expect(judgeJoins(summarize([2500]))).toHaveLength(1);
  });
});
