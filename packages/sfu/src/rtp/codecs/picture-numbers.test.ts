import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RtpView } from '../header.ts';
import { PictureNumbers, restoreNumbers } from './picture-numbers.ts';
import { PayloadReader } from './reader.ts';

interface Picture {
  id: number;
  tl0?: number;
  keyIdx?: number;
  temporal?: number;
  key?: boolean;
  /** Picture ids of 7 bits instead of 15. */
  short?: boolean;
}

/** A VP8 packet as RFC 7741 section 4.2 writes it. */
function vp8({ id, tl0 = 0, keyIdx = 0, temporal = 0, key = false, short = false }: Picture): Buffer {
  const picture = short ? [id & 0x7f] : [0x80 | (id >> 8), id & 255];
  return Buffer.from([0x90, 0xf0, ...picture, tl0 & 255, (temporal << 6) | (keyIdx & 31), key ? 0 : 1]);
}

/** An AV1 packet with the mandatory part of a dependency descriptor before its payload. */
function descriptor(frameNumber: number): Buffer {
  return Buffer.from([0xc0, frameNumber >> 8, frameNumber & 255, 0x10, 0]);
}

/** One subscriber; tells the numbers that went out, null for packets that were left out. */
class Subscriber {
  readonly numbers: PictureNumbers;
  readonly #reader: PayloadReader;
  readonly #again = new RtpView();
  readonly #dependencyBytes: number;

  constructor(codec = 'VP8', dependencyBytes = 0) {
    this.numbers = new PictureNumbers(codec);
    this.#reader = new PayloadReader(codec);
    this.#dependencyBytes = dependencyBytes;
  }

  forward(packet: Buffer, wanted = true): ReturnType<Subscriber['outgoing']> {
    const view = this.#view(packet, new RtpView());
    const sent = this.numbers.rewrite(packet, view.payload, wanted) ? this.outgoing(packet) : null;
    restoreNumbers(packet, view.payload);
    return sent;
  }

  repeat(packet: Buffer): ReturnType<Subscriber['outgoing']> {
    const view = this.#view(packet, new RtpView());
    const sent = this.numbers.repeat(packet, view.payload) ? this.outgoing(packet) : null;
    restoreNumbers(packet, view.payload);
    return sent;
  }

  private outgoing(packet: Buffer): { id: number; tl0: number; keyIdx: number; frame: number } | null {
    const { payload } = this.#view(packet, this.#again);
    return { id: payload.pictureId, tl0: payload.tl0PicIdx, keyIdx: payload.keyIdx, frame: payload.frameNumber };
  }

  #view(packet: Buffer, view: RtpView): RtpView {
    view.payloadStart = this.#dependencyBytes;
    view.payloadEnd = packet.length;
    this.#reader.readAgain(packet, view);
    if (this.#dependencyBytes > 0) {
      view.payload.frameNumber = packet.readUInt16BE(1);
      view.payload.frameNumberAt = 1;
    }
    return view;
  }
}

test('numbers go on across a switch to another stream, and around their ends', () => {
  const subscriber = new Subscriber();
  expect(subscriber.forward(vp8({ id: 0x7fff, tl0: 255, keyIdx: 31, key: true }))).toMatchObject({
    id: 0x7fff,
    tl0: 255,
  });
  expect(subscriber.forward(vp8({ id: 0, tl0: 0, keyIdx: 31 }))).toMatchObject({ id: 0, tl0: 0, keyIdx: 31 });
  subscriber.numbers.switchStream();
  expect(subscriber.forward(vp8({ id: 500, tl0: 77, keyIdx: 4, key: true }))).toMatchObject({
    id: 1,
    tl0: 1,
    keyIdx: 0,
  });
  expect(subscriber.forward(vp8({ id: 501, tl0: 78, keyIdx: 4 }))).toMatchObject({ id: 2, tl0: 2, keyIdx: 0 });
  // A step back of the publisher is a new count, and a key frame of another width of numbers too.
  expect(subscriber.forward(vp8({ id: 0x7fa0, tl0: 3, keyIdx: 9, key: true }))).toMatchObject({
    id: 3,
    tl0: 3,
    keyIdx: 1,
  });
  expect(subscriber.forward(vp8({ id: 9, tl0: 50, key: true, short: true }))).toMatchObject({ id: 4, tl0: 4 });
});

test('pictures that are left out leave no gap, and all packets of a picture share its fate', () => {
  const subscriber = new Subscriber();
  subscriber.forward(vp8({ id: 10, key: true }));
  expect(subscriber.forward(vp8({ id: 11, temporal: 2 }), false)).toBeNull();
  expect(subscriber.forward(vp8({ id: 11, temporal: 2 }), true)).toBeNull();
  expect(subscriber.forward(vp8({ id: 12, temporal: 1 }))).toMatchObject({ id: 11 });
  expect(subscriber.forward(vp8({ id: 12, temporal: 1 }), false)).toMatchObject({ id: 11 });
  // Of a missing picture nobody knows whether it will be wanted: its number stays free, and it is sent when it comes late.
  expect(subscriber.forward(vp8({ id: 14 }))).toMatchObject({ id: 13 });
  expect(subscriber.forward(vp8({ id: 13, temporal: 2 }), false)).toMatchObject({ id: 12 });
});

test('a repeated packet goes out under the number it had', () => {
  const subscriber = new Subscriber();
  subscriber.forward(vp8({ id: 20, key: true }));
  subscriber.forward(vp8({ id: 21, temporal: 2 }), false);
  subscriber.forward(vp8({ id: 22 }));
  subscriber.forward(vp8({ id: 23, temporal: 2 }), false);
  subscriber.forward(vp8({ id: 24 }));
  expect(subscriber.repeat(vp8({ id: 22 }))).toMatchObject({ id: 21 });
  expect(subscriber.repeat(vp8({ id: 21 }))).toBeNull();
  expect(subscriber.repeat(vp8({ id: 25 }))).toBeNull();
  subscriber.forward(vp8({ id: 24 + 200 }));
  expect(subscriber.repeat(vp8({ id: 24 }))).toBeNull();
  subscriber.numbers.switchStream();
  expect(subscriber.repeat(vp8({ id: 22 }))).toBeNull();
});

test('frame numbers of the dependency descriptor keep their gaps and go on across a switch', () => {
  const subscriber = new Subscriber('AV1', 3);
  expect(subscriber.forward(descriptor(65_534))?.frame).toBe(65_534);
  expect(subscriber.forward(descriptor(65_535), false)).toBeNull();
  expect(subscriber.forward(descriptor(0))?.frame).toBe(0);
  subscriber.numbers.switchStream();
  expect(subscriber.forward(descriptor(300), false)).toBeNull();
  expect(subscriber.forward(descriptor(301))?.frame).toBe(1);
  expect(subscriber.forward(descriptor(305))?.frame).toBe(5);
});

test('a codec without numbers is sent as wanted, its bytes as they are', () => {
  const subscriber = new Subscriber('H264');
  const packet = Buffer.from([0x65, 0x88, 1, 2]);
  expect(subscriber.forward(packet)).not.toBeNull();
  expect(subscriber.forward(packet, false)).toBeNull();
  expect(packet).toEqual(Buffer.from([0x65, 0x88, 1, 2]));
});

test('over any pattern of layers, losses, lateness and switches, numbers rise, and by one when nothing is lost', () => {
  const step = fc.record({
    temporal: fc.integer({ min: 0, max: 2 }),
    fate: fc.constantFrom('sent', 'sent', 'sent', 'lost', 'late', 'switch'),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 120 }),
      fc.nat(0x7fff),
      fc.nat(2),
      fc.boolean(),
      (steps, first, wantedTemporal, short) => {
        const subscriber = new Subscriber();
        const mask = short ? 0x7f : 0x7fff;
        const taken = new Map<number, number>();
        let id = first;
        let last: number | null = null;
        let whole = true;
        let held: Picture | null = null;
        const forward = (picture: Picture, late: boolean) => {
          const sent = subscriber.forward(vp8(picture), (picture.temporal ?? 0) <= wantedTemporal);
          if (!sent) return;
          // No number for two pictures, within what a decoder remembers.
          const before = taken.get(sent.id);
          if (!short && before !== undefined) expect(before).toBe(picture.id);
          taken.set(sent.id, picture.id);
          if (late) return;
          if (last !== null) {
            const ahead = (sent.id - last) & mask;
            expect(ahead).toBeGreaterThan(0);
            expect(ahead).toBeLessThan(short ? 64 : 1024);
            if (whole) expect(ahead).toBe(1);
          }
          last = sent.id;
          whole = true;
        };
        forward({ id: id & mask, key: true, short }, false);
        for (const { temporal, fate } of steps) {
          id = fate === 'switch' ? (id + 5_000) & mask : (id + 1) & mask;
          const picture: Picture = { id, temporal: fate === 'switch' ? 0 : temporal, key: fate === 'switch', short };
          if (fate === 'switch') {
            subscriber.numbers.switchStream();
            taken.clear();
            held = null;
            whole = true;
          }
          if (fate === 'lost') whole = false;
          else if (fate === 'late' && held === null) {
            held = picture;
            whole = false;
          } else {
            forward(picture, false);
            if (held) forward(held, true);
            held = null;
          }
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
