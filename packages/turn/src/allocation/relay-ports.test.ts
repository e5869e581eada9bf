import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RelayPorts } from './relay-ports.ts';

const first = () => 0;

test('RelayPorts never gives a port twice, never one outside the block, and all of them in the end', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1024, max: 60_000 }), fc.integer({ min: 1, max: 60 }), (start, size) => {
      const ports = new RelayPorts(start, start + size - 1);
      const taken = new Set<number>();
      for (let port = ports.take(); port !== undefined; port = ports.take()) taken.add(port);
      expect([...taken].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, index) => start + index));
      expect(ports.takenCount).toBe(size);
    }),
  );
});

test('RelayPorts agrees with a model over any sequence of takes and releases', () => {
  const step = fc.constantFrom('any', 'even', 'pair', 'release');
  fc.assert(
    fc.property(
      fc.integer({ min: 40_000, max: 40_003 }),
      fc.integer({ min: 1, max: 12 }),
      fc.array(step),
      (start, size, steps) => {
        const ports = new RelayPorts(start, start + size - 1);
        const model = new Set<number>();
        const free = (port: number) => port >= start && port < start + size && !model.has(port);
        const all = Array.from({ length: size }, (_, index) => start + index);
        for (const what of steps) {
          if (what === 'release') {
            const [port] = model;
            if (port === undefined) continue;
            ports.release(port);
            model.delete(port);
            continue;
          }
          const port = what === 'any' ? ports.take() : what === 'even' ? ports.takeEven() : ports.takePair();
          const candidates = all.filter(
            (one) => free(one) && (what === 'any' || one % 2 === 0) && (what !== 'pair' || free(one + 1)),
          );
          if (candidates.length === 0) expect(port).toBeUndefined();
          else expect(candidates).toContain(port);
          if (port === undefined) continue;
          model.add(port);
          if (what === 'pair') model.add(port + 1);
        }
        expect(ports.takenCount).toBe(model.size);
      },
    ),
  );
});

test('RelayPorts starts at a random place', () => {
  const starts = new Set(Array.from({ length: 50 }, () => new RelayPorts(50_000, 50_799).take()));
  expect(starts.size).toBeGreaterThan(10);
});

test('setBlock moves the block and keeps what is taken', () => {
  const ports = new RelayPorts(50_000, 50_001, first);
  expect(ports.take()).toBe(50_000);
  ports.setBlock(50_000, 50_000);
  expect(ports.take()).toBeUndefined();
  ports.release(50_000);
  expect(ports.take()).toBe(50_000);
});
