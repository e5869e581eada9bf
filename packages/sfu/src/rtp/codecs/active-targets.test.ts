import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readForwarded } from '../extensions.ts';
import { RtpView } from '../header.ts';
import { mayTellTargets, withActiveTargets } from './active-targets.ts';
import { DependencyDescriptors } from './dependency-descriptor.ts';

const RECORDED: Record<string, string[]> = JSON.parse(
  readFileSync(new URL('./recorded.json', import.meta.url), 'utf8'),
);
const descriptorsOf = (name: string) =>
  (RECORDED[name] as string[]).map((line) => Buffer.from(line.split(' ')[1] as string, 'hex'));

/** A packet with that dependency descriptor between two other elements. */
function packetWith(descriptor: Uint8Array, isOneByte = false): Buffer {
  const elements = isOneByte
    ? [0x31, 1, 2, (12 << 4) | (descriptor.length - 1), ...descriptor, 0xd0, 9]
    : [3, 2, 1, 2, 12, descriptor.length, ...descriptor, 13, 1, 9];
  const words = Math.ceil(elements.length / 4);
  const block = Buffer.alloc(4 + words * 4);
  block.writeUInt16BE(isOneByte ? 0xbede : 0x1000, 0);
  block.writeUInt16BE(words, 2);
  block.set(elements, 4);
  return Buffer.concat([Buffer.from([0x90, 45, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]), block, Buffer.from([7, 7, 7])]);
}

function read(packet: Buffer): RtpView {
  const view = new RtpView();
  expect(readForwarded(packet, view)).toBe(true);
  return view;
}

test.each(['av1-l3t3', 'av1-l2t3-key', 'vp9-l2t2-dd'])(
  'in the descriptors of Chromium (%s) the targets can be any, and all else stays',
  (name) => {
    const targets = name === 'av1-l3t3' ? 9 : name === 'av1-l2t3-key' ? 6 : 4;
    fc.assert(
      fc.property(fc.nat(2 ** targets - 1), (active) => {
        const before = new DependencyDescriptors();
        const after = new DependencyDescriptors();
        for (const descriptor of descriptorsOf(name)) {
          const packet = packetWith(descriptor);
          const view = read(packet);
          const { dependencyAt: at, dependencyBytes: bytes, payload } = view;
          before.read(packet, at, at + bytes, payload);
          const told = withActiveTargets(packet, view, targets, active);
          const changed = read(told);
          expect(after.read(told, at, at + changed.dependencyBytes, changed.payload)).toBe(true);
          expect(changed.payload).toEqual({ ...payload, activeDecodeTargets: active });
          expect([...told.subarray(changed.payloadStart)]).toEqual([7, 7, 7]);
          expect([changed.transportSequence, changed.elements]).toEqual([0x0102, view.elements]);
          expect(mayTellTargets(told, changed)).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
  },
);

test('a frame begins, or its descriptor says so already, where targets may be told', () => {
  const may = (...bytes: number[]) => {
    const packet = packetWith(Uint8Array.from(bytes));
    return mayTellTargets(packet, read(packet));
  };
  expect([may(0x80, 0, 1), may(0, 0, 1), may(0, 0, 1, 0x40), may(0, 0, 1, 0x10), may(0x80)]).toEqual([
    true,
    false,
    true,
    false,
    false,
  ]);
});

test('elements of one-byte headers are lengthened up to sixteen bytes; where that is too short nothing is told', () => {
  const short = packetWith(Uint8Array.of(0x80, 0, 1), true);
  const told = withActiveTargets(short, read(short), 9, 0b101);
  expect([...told.subarray(16, 28)]).toEqual([0x31, 1, 2, 0xc4, 0x80, 0, 1, 0b01000_000, 0b000101_00, 0xd0, 9, 0]);
  const descriptor = new Uint8Array(16).fill(0xff, 4);
  descriptor.set([0x80, 0, 1, 0b00001_111]);
  const full = packetWith(descriptor, true);
  expect(withActiveTargets(full, read(full), 9, 0)).toBe(full);
});

test('no descriptor makes it throw, or touch anything but the extensions', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 255 }),
        fc
          .tuple(fc.constantFrom(...descriptorsOf('av1-l3t3')), fc.nat(60), fc.nat(255))
          .map(([descriptor, at, value]) => Uint8Array.from(descriptor, (byte, i) => (i === at ? value : byte))),
      ),
      fc.integer({ min: 1, max: 32 }),
      (descriptor, targets) => {
        const packet = packetWith(descriptor);
        const view = read(packet);
        if (!mayTellTargets(packet, view)) return;
        const told = withActiveTargets(packet, view, targets, 1);
        expect([...told.subarray(read(told).payloadStart)]).toEqual([7, 7, 7]);
      },
    ),
    { numRuns: 2_000 },
  );
});
