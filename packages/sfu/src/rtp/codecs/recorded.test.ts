import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RtpView } from '../header.ts';
import { isWanted, temporalFrom } from './layers.ts';
import { PictureNumbers, restoreNumbers } from './picture-numbers.ts';
import { PayloadReader } from './reader.ts';

/**
 * Beginnings of streams as Chromium 156 sent them (H.265: ffmpeg with x265): for every packet the marker, the dependency
 * descriptor and the first bytes of the payload.
 */
const RECORDED: Record<string, string[]> = JSON.parse(
  readFileSync(new URL('./recorded.json', import.meta.url), 'utf8'),
);

interface Recorded {
  packet: Buffer;
  marker: boolean;
  dependencyBytes: number;
}

function recorded(name: string): Recorded[] {
  return (RECORDED[name] as string[]).map((line) => {
    const [marker, descriptor, payload] = line.split(' ') as [string, string, string];
    const dependency = Buffer.from(descriptor === '-' ? '' : descriptor, 'hex');
    const packet = Buffer.concat([Buffer.alloc(12), dependency, Buffer.from(payload, 'hex')]);
    return { packet, marker: marker === '1', dependencyBytes: dependency.length };
  });
}

function viewOf({ packet, marker, dependencyBytes }: Recorded): RtpView {
  const view = new RtpView();
  view.marker = marker;
  view.dependencyAt = dependencyBytes > 0 ? 12 : 0;
  view.dependencyBytes = dependencyBytes;
  view.payloadStart = Math.min(12 + dependencyBytes, packet.length);
  view.payloadEnd = packet.length;
  return view;
}

const codecOf = (name: string) => name.split('-')[0] as string;

/** Every packet of a stream in a word or two: layers, beginning and end of its frame, sizes. */
function summary(name: string): string[] {
  const reader = new PayloadReader(codecOf(name));
  return recorded(name).map((each) => {
    const view = viewOf(each);
    reader.read(each.packet, view);
    const { payload } = view;
    const frame = `${payload.startsFrame ? '(' : '-'}S${payload.spatialId}T${payload.temporalId}${payload.endsFrame ? ')' : '-'}`;
    const sizes = Array.from({ length: payload.spatialLayers }, (_, i) => `${payload.widths[i]}x${payload.heights[i]}`);
    return [...(payload.startsKeyFrame ? ['key'] : []), frame, ...sizes].join(' ');
  });
}

test('streams of Chromium are read as they were encoded', () => {
  expect(summary('vp8-l1t3').slice(0, 6)).toEqual([
    'key (S0T0- 640x360',
    '-S0T0)',
    '(S0T2)',
    '(S0T1)',
    '(S0T2-',
    '-S0T2-',
  ]);
  expect(summary('vp8-dd').slice(0, 3)).toEqual(['key (S0T0- 640x360', '-S0T0)', '(S0T2)']);
  expect(summary('vp9-l3t3-key').slice(0, 4)).toEqual(['key (S0T0) 320x180 640x360', '(S1T0)', '(S0T2)', '(S1T2)']);
  expect(summary('vp9-l2t2-dd').slice(0, 2)).toEqual(['key (S0T0) 640x360 1280x720', '(S0T1)']);
  expect(summary('av1-l3t3').slice(0, 3)).toEqual(['key (S0T0) 320x180 640x360 1280x720', '(S1T0)', '(S0T2)']);
  expect(summary('av1-l2t3-key').slice(6, 9)).toEqual(['key (S0T0- 640x360 1280x720', '-S0T0)', '(S1T0-']);
  expect(summary('av1-plain').slice(0, 2)).toEqual(['key (S0T0) 640x360', '(S0T0)']);
  expect(summary('h264').slice(0, 4)).toEqual(['key (S0T0- 640x360', '(S0T0-', '-S0T0)', '(S0T0)']);
  expect(summary('h265').slice(0, 3)).toEqual(['key (S0T0- 640x360', '-S0T0-', '-S0T0-']);
});

/** Frames (by their first packets) that a subscriber to these layers gets. */
function selected(name: string, spatial: number, temporal: number): string[] {
  const reader = new PayloadReader(codecOf(name));
  const frames: string[] = [];
  for (const each of recorded(name)) {
    const view = viewOf(each);
    reader.read(each.packet, view);
    const { payload } = view;
    if (payload.startsFrame && isWanted(payload, spatial, temporal))
      frames.push(`S${payload.spatialId}T${payload.temporalId}`);
  }
  return frames;
}

test('a subscriber gets the frames its layers are made of, and of those that are not produced yet the ones below', () => {
  expect(selected('vp8-l1t3', 0, 0)).toEqual(['S0T0']);
  expect(selected('vp8-l1t3', 0, 1).slice(0, 2)).toEqual(['S0T0', 'S0T1']);
  expect(selected('vp9-l3t3-key', 0, 255)).not.toContain('S1T0');
  expect(selected('av1-l3t3', 1, 1).slice(0, 6)).toEqual(['S0T0', 'S1T0', 'S0T1', 'S1T1', 'S0T0', 'S1T0']);
  // The upper spatial layer begins with the second key frame; from then on the lower one is only needed with key frames.
  const keys = selected('av1-l2t3-key', 1, 2);
  expect(keys.slice(0, 7)).toEqual(['S0T0', 'S0T2', 'S0T1', 'S0T2', 'S0T0', 'S0T0', 'S1T0']);
  expect(keys.slice(7).every((frame) => frame.startsWith('S1'))).toBe(true);
});

test('temporal layers are added where nothing is missing', () => {
  const reader = new PayloadReader('vp8');
  let temporal = 0;
  const seen = recorded('vp8-l1t3').map((each, i) => {
    const view = viewOf(each);
    reader.read(each.packet, view);
    // Not at the key frame, where everything may begin.
    if (i > 1) temporal = temporalFrom(view.payload, 0, temporal, 2);
    return temporal;
  });
  // The first picture of layer 2 may not begin before layer 1; that of layer 1 is a synchronisation point.
  expect(seen.slice(0, 5)).toEqual([0, 0, 0, 1, 1]);

  const descriptors = new PayloadReader('av1');
  const views = recorded('av1-l3t3').map((each) => {
    const view = viewOf(each);
    descriptors.read(each.packet, view);
    return view.payload;
  });
  const at = (i: number, from: number, to: number) => temporalFrom(views[i] as never, 1, from, to);
  expect([at(0, 0, 2), at(2, 0, 2), at(3, 0, 2), at(5, 1, 2), at(5, 2, 0), at(10, 2, 0)]).toEqual([2, 0, 0, 2, 0, 2]);
});

test('whatever bytes change on the way, reading and numbering neither throw nor touch more than numbers', () => {
  const names = Object.keys(RECORDED);
  const change = fc.record({
    packet: fc.nat(40),
    at: fc.nat(80),
    value: fc.integer({ min: 0, max: 255 }),
    cut: fc.option(fc.nat(60), { freq: 8 }),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.array(change, { maxLength: 12 }),
      fc.nat(2),
      (name, changes, temporal) => {
        const reader = new PayloadReader(codecOf(name));
        const numbers = new PictureNumbers(codecOf(name));
        const packets = recorded(name);
        for (const { packet, at, value, cut } of changes) {
          const changed = packets[packet % packets.length] as Recorded;
          if (cut !== null) changed.packet = changed.packet.subarray(0, 12 + cut);
          if (12 + at < changed.packet.length) changed.packet[12 + at] = value;
        }
        for (const each of packets) {
          const view = viewOf(each);
          const before = Buffer.from(each.packet);
          reader.read(each.packet, view);
          expect(each.packet.equals(before)).toBe(true);
          numbers.rewrite(each.packet, view.payload, isWanted(view.payload, 1, temporal));
          numbers.repeat(each.packet, view.payload);
          restoreNumbers(each.packet, view.payload);
          expect(each.packet.equals(before)).toBe(true);
        }
      },
    ),
    { numRuns: 3_000 },
  );
});
