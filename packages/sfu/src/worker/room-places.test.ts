import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoomPlaces } from './room-places.ts';

const worker = (id: number, utilization = 0, peers = 0, rooms: string[] = [], busy = false) => ({
  id,
  report: { rooms, peers, busy, eventLoop: { delayP50Sec: 0, delayP99Sec: 0, delayMaxSec: 0, utilization } },
});

describe('RoomPlaces', () => {
  test('a new room goes to the least busy worker, then to the one with the fewest peers, then to the first', () => {
    const places = new RoomPlaces();
    expect(places.place('a', [worker(0, 0.8), worker(1, 0.1, 50)], 0)).toBe(1);
    expect(places.place('b', [worker(0, 0.1, 5), worker(1, 0.12, 3)], 0)).toBe(1);
    expect(places.place('c', [worker(0), worker(1)], 0)).toBe(0);
    expect(places.place('d', [worker(0, 0, 0, [], true), worker(1, 0.5)], 0)).toBe(1);
  });

  test('a room stays where it is while its worker is there', () => {
    const step = fc.record({ load: fc.double({ min: 0, max: 1, noNaN: true }), peers: fc.nat(50) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1 }), (steps) => {
        const places = new RoomPlaces();
        const first = places.place('r', [worker(0), worker(1)], 0);
        for (const [i, { load, peers }] of steps.entries()) {
          const workers = [worker(0, load, peers), worker(1, 1 - load)];
          places.learn(workers, i);
          expect(places.place('r', workers, i)).toBe(first);
        }
      }),
    );
  });

  test('a room that its worker holds is never forgotten; another one is after a while, or with its worker', () => {
    const places = new RoomPlaces();
    places.place('held', [worker(0)], 0);
    places.place('left', [worker(0)], 0);
    places.learn([worker(0, 0, 0, ['held'])], 10_000);
    expect(places.find('left')).toBe(0);
    places.learn([worker(0, 0, 0, ['held'])], 20_000);
    expect([places.find('held'), places.find('left')]).toEqual([0, undefined]);
    places.place('lost', [worker(1)], 20_000);
    places.learn([worker(0, 0, 0, ['held'])], 20_001);
    expect(places.find('lost')).toBeUndefined();
  });

  test('isFull only when every worker has much to do, or turns peers away', () => {
    expect(new RoomPlaces().isFull([worker(0, 0, 90, [], true), worker(1, 0.3)])).toBe(false);
    expect(new RoomPlaces().isFull([worker(0, 0, 90, [], true), worker(1, 0.3, 90, [], true)])).toBe(true);
    expect(new RoomPlaces().isFull([worker(0, 0.9), worker(1, 0.3)])).toBe(false);
    expect(new RoomPlaces().isFull([worker(0, 0.9), worker(1, 0.7)])).toBe(true);
  });
});
