import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Speakers } from './speakers.ts';

interface Person {
  name: string;
  level: number;
  speaking: boolean;
  spokeMs: number;
}

const person = (name: string, level = 0): Person => ({
  name,
  level,
  speaking: level > 0,
  spokeMs: level > 0 ? 0 : Number.NEGATIVE_INFINITY,
});
const say = (who: Person, level: number, nowMs: number) =>
  Object.assign(who, { level, speaking: level > 0 }, level > 0 ? { spokeMs: nowMs } : {});
const names = (people: readonly Person[]) => people.map(({ name }) => name);

describe('Speakers.reorder()', () => {
  test('puts the loudest first, and tells only changes', () => {
    const speakers = new Speakers<Person>(null);
    const people = [person('quiet'), person('loud', 0.8), person('soft', 0.4)];
    for (const each of people) speakers.add(each, 0);
    expect(speakers.reorder(0)).toBe(true);
    expect(names(speakers.order)).toEqual(['loud', 'soft']);
    expect(speakers.reorder(1_000)).toBe(false);
  });

  test('two who are about as loud do not take turns', () => {
    const speakers = new Speakers<Person>(null);
    const [a, b] = [person('a', 0.5), person('b', 0.5)];
    for (const each of [a, b]) speakers.add(each, 0);
    speakers.reorder(0);
    for (let now = 1_000; now < 20_000; now += 1_000) {
      say(a, 0.5 + (now % 2_000 === 0 ? 0.04 : -0.04), now);
      expect(speakers.reorder(now)).toBe(false);
    }
    say(b, 0.8, 20_000);
    expect(speakers.reorder(20_000)).toBe(true);
    expect(names(speakers.order)).toEqual(['b', 'a']);
  });

  test('is told no more often than every 300 ms, and the last change is not lost', () => {
    const speakers = new Speakers<Person>(null);
    const a = person('a', 0.5);
    speakers.add(a, 0);
    expect(speakers.reorder(0)).toBe(true);
    say(a, 0, 100);
    expect(speakers.reorder(100)).toBe(false);
    expect(speakers.reorder(299)).toBe(false);
    expect(speakers.reorder(300)).toBe(true);
    expect(speakers.order).toEqual([]);
  });

  test('whoever leaves is out of it', () => {
    const speakers = new Speakers<Person>(null);
    const a = person('a', 0.5);
    speakers.add(a, 0);
    speakers.reorder(0);
    speakers.remove(a, 100);
    expect(speakers.reorder(1_000)).toBe(true);
    expect(speakers.order).toEqual([]);
  });
});

describe('Speakers with seats', () => {
  test('all are heard while there are no more tracks than seats', () => {
    const speakers = new Speakers<Person>(2);
    const people = [person('a'), person('b')];
    for (const each of people) speakers.add(each, 0);
    expect(people.map((each) => speakers.isHeard(each))).toEqual([true, true]);
  });

  test('one who begins to speak gets the seat of the one who was silent longest', () => {
    const speakers = new Speakers<Person>(2);
    const [a, b, c] = [person('a'), person('b'), person('c')];
    for (const each of [a, b, c]) speakers.add(each, 0);
    say(a, 0.5, 3_000);
    say(c, 0.5, 5_000);
    expect(speakers.reseat(5_000).map(({ heard, silenced }) => [heard.name, silenced.name])).toEqual([['c', 'b']]);
    expect(speakers.isHeard(c)).toBe(true);
    expect(speakers.isHeard(b)).toBe(false);
  });

  test('a seat is held for two seconds after its holder spoke', () => {
    const speakers = new Speakers<Person>(1);
    const [a, b] = [person('a'), person('b')];
    for (const each of [a, b]) speakers.add(each, 0);
    say(a, 0.5, 10_000);
    say(a, 0, 10_100);
    say(b, 0.9, 10_100);
    expect(speakers.reseat(11_900)).toEqual([]);
    expect(speakers.reseat(12_000)).toHaveLength(1);
  });

  test('one who speaks keeps the seat against another who is not plainly louder', () => {
    const speakers = new Speakers<Person>(1);
    const [a, b] = [person('a', 0.5), person('b', 0.55)];
    for (const each of [a, b]) speakers.add(each, 0);
    expect(speakers.reseat(60_000)).toEqual([]);
    say(b, 0.7, 60_000);
    expect(speakers.reseat(60_000)).toHaveLength(1);
  });

  test('a seat that becomes free goes to the next at once', () => {
    const speakers = new Speakers<Person>(1);
    const [a, b, c] = [person('a'), person('b'), person('c', 0.3)];
    for (const each of [a, b, c]) speakers.add(each, 0);
    expect(speakers.remove(a, 100)).toBe(c);
    expect(speakers.isHeard(c)).toBe(true);
    expect(speakers.remove(b, 200)).toBeNull();
  });

  test('never more are heard than there are seats, never fewer than could be, and nobody flaps', () => {
    const event = fc.record({ who: fc.nat(7), level: fc.constantFrom(0, 0, 0.3, 0.5, 0.9), present: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(event, { maxLength: 60 }), (seats, events) => {
        const speakers = new Speakers<Person>(seats);
        const people = Array.from({ length: 8 }, (_, i) => person(`p${i}`));
        const present = new Set<Person>();
        const seatedMs = new Map<Person, number>();
        let now = 0;
        for (const { who, level, present: comes } of events) {
          now += 100;
          const each = people[who] as Person;
          if (!present.has(each)) {
            present.add(each);
            speakers.add(each, now);
          } else if (!comes && level === 0) {
            present.delete(each);
            seatedMs.delete(each);
            const next = speakers.remove(each, now);
            if (next) seatedMs.set(next, now);
          }
          say(each, level, now);
          for (const { heard, silenced } of speakers.reseat(now)) {
            expect(now - (seatedMs.get(silenced) ?? 0)).toBeGreaterThanOrEqual(2_000);
            seatedMs.set(heard, now);
          }
          if (speakers.isHeard(each) && !seatedMs.has(each)) seatedMs.set(each, now);
          const heard = [...present].filter((one) => speakers.isHeard(one));
          expect(heard).toHaveLength(Math.min(seats, present.size));
          if (speakers.reorder(now)) for (const one of speakers.order) expect(speakers.isHeard(one)).toBe(true);
        }
      }),
    );
  });
});
