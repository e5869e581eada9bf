import { describe, expect, test } from 'vitest';
import { RtpView } from '../rtp/header.ts';
import { Voice } from './voice.ts';

const NO_PACKET = Buffer.alloc(0);
const view = new RtpView();

/** Feeds packets of one level, in dB under the loudest, for some time. @returns the time afterwards */
function feed(voice: Voice, decibels: number | null, fromMs: number, forMs: number): number {
  let nowMs = fromMs;
  for (; nowMs < fromMs + forMs; nowMs += 100) {
    for (let i = 0; decibels !== null && i < 5; i++) {
      view.audioLevel = decibels;
      voice.forward(NO_PACKET, view);
    }
    voice.sample(nowMs);
  }
  return nowMs;
}

describe('Voice', () => {
  test('speech of 30 dB under the loudest is told within a third of a second', () => {
    const voice = new Voice();
    feed(voice, 30, 0, 300);
    expect(voice.speaking).toBe(true);
    expect(voice.level).toBeGreaterThan(0.4);
  });

  test('a level goes to 1 at the loudest and to 0 in silence', () => {
    const voice = new Voice();
    const end = feed(voice, 0, 0, 2_000);
    expect(voice.level).toBeCloseTo(1, 2);
    feed(voice, 127, end, 5_000);
    expect(voice.level).toBeCloseTo(0, 2);
  });

  test('a knock of a tenth of a second is no speech', () => {
    const voice = new Voice();
    const end = feed(voice, 10, 0, 100);
    feed(voice, 127, end, 1_000);
    expect(voice.spokeMs).toBe(Number.NEGATIVE_INFINITY);
  });

  test('pauses between words do not end speech, a second of silence does', () => {
    const voice = new Voice();
    let now = feed(voice, 25, 0, 500);
    for (let word = 0; word < 10; word++) {
      now = feed(voice, 127, now, 400);
      expect(voice.speaking).toBe(true);
      now = feed(voice, 25, now, 300);
    }
    feed(voice, null, now, 2_000);
    expect(voice.speaking).toBe(false);
  });

  test('noise between the two thresholds changes nothing, whichever way it came', () => {
    const [silent, speaking] = [new Voice(), new Voice()];
    feed(silent, 48, 0, 5_000);
    const end = feed(speaking, 20, 0, 500);
    feed(speaking, 48, end, 5_000);
    expect([silent.speaking, speaking.speaking]).toEqual([false, true]);
  });

  test('a track that tells no level is silent', () => {
    const voice = new Voice();
    feed(voice, -1, 0, 1_000);
    expect([voice.level, voice.speaking]).toEqual([0, false]);
  });
});
