import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findExtension, readForwarded, renumberExtensions } from './extensions.ts';
import { isRtcp, RtpView, readRtp, sequenceDistance, unwrapRtx } from './header.ts';

const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });

interface Fields {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  csrcs: number[];
  extensions: { id: number; data: Uint8Array }[];
  payload: Uint8Array;
  padding: number;
}

const fields: fc.Arbitrary<Fields> = fc.record({
  payloadType: fc.integer({ min: 0, max: 127 }),
  marker: fc.boolean(),
  sequence: uint16,
  timestamp: uint32,
  ssrc: uint32,
  csrcs: fc.array(uint32, { maxLength: 15 }),
  extensions: fc.uniqueArray(
    fc.record({ id: fc.integer({ min: 1, max: 14 }), data: fc.uint8Array({ minLength: 1, maxLength: 16 }) }),
    { selector: ({ id }) => id, maxLength: 5 },
  ),
  payload: fc.uint8Array({ maxLength: 64 }),
  padding: fc.integer({ min: 0, max: 8 }),
});

/** An independent writer of RFC 3550 and RFC 8285 packets. */
function write(packet: Fields): Buffer {
  const head = Buffer.alloc(12 + packet.csrcs.length * 4);
  head[0] = 0x80 | (packet.padding ? 32 : 0) | (packet.extensions.length ? 16 : 0) | packet.csrcs.length;
  head[1] = packet.payloadType | (packet.marker ? 128 : 0);
  head.writeUInt16BE(packet.sequence, 2);
  head.writeUInt32BE(packet.timestamp, 4);
  head.writeUInt32BE(packet.ssrc, 8);
  packet.csrcs.forEach((csrc, i) => void head.writeUInt32BE(csrc, 12 + i * 4));
  const parts = [head];
  if (packet.extensions.length) {
    const elements = Buffer.concat(
      packet.extensions.map(({ id, data }) => Buffer.from([(id << 4) | (data.length - 1), ...data])),
    );
    const block = Buffer.alloc(4 + Math.ceil(elements.length / 4) * 4);
    block.writeUInt16BE(0xbede, 0);
    block.writeUInt16BE((block.length - 4) / 4, 2);
    elements.copy(block, 4);
    parts.push(block);
  }
  parts.push(Buffer.from(packet.payload));
  if (packet.padding) parts.push(Buffer.from([...new Array<number>(packet.padding - 1).fill(0), packet.padding]));
  return Buffer.concat(parts);
}

test('readRtp finds every field, extension and the payload without padding', () => {
  fc.assert(
    fc.property(fields, (packet) => {
      const bytes = write(packet);
      const view = new RtpView();
      expect(readRtp(bytes, view)).toBe(true);
      const { payloadType, marker, sequence, timestamp, ssrc } = packet;
      expect(view).toMatchObject({ payloadType, marker, sequence, timestamp, ssrc });
      expect([...bytes.subarray(view.payloadStart, view.payloadEnd)]).toEqual([...packet.payload]);
      for (const { id, data } of packet.extensions) {
        const at = findExtension(bytes, view, id);
        expect([...bytes.subarray(at, at + data.length)]).toEqual([...data]);
      }
      expect(findExtension(bytes, view, 15)).toBe(-1);
    }),
  );
});

test('readRtp, findExtension and renumberExtensions never throw and never look outside, whatever comes', () => {
  const ids = new Uint8Array(256).fill(3);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 0, max: 255 }), (bytes, id) => {
      const view = new RtpView();
      if (!readRtp(bytes, view)) return;
      expect(view.payloadStart).toBeLessThanOrEqual(view.payloadEnd);
      expect(view.payloadEnd).toBeLessThanOrEqual(bytes.length);
      expect(findExtension(bytes, view, id)).toBeLessThan(bytes.length);
      const { length } = bytes;
      renumberExtensions(bytes, view, ids);
      expect(bytes.length).toBe(length);
    }),
    { numRuns: 2_000 },
  );
});

test('renumberExtensions gives the mapped elements their new ids, blanks the others and touches no payload', () => {
  fc.assert(
    fc.property(fields, (packet) => {
      const bytes = write(packet);
      const view = new RtpView();
      readRtp(bytes, view);
      const ids = new Uint8Array(256);
      for (const { id } of packet.extensions) if (id % 2) ids[id] = 15 - id;
      renumberExtensions(bytes, view, ids);
      expect(readRtp(bytes, view)).toBe(true);
      for (const { id, data } of packet.extensions) {
        const at = findExtension(bytes, view, 15 - id);
        if (id % 2 === 1) expect([...bytes.subarray(at, at + data.length)]).toEqual([...data]);
        else if (!packet.extensions.some((other) => other.id % 2 && other.id === id))
          expect(findExtension(bytes, view, id) === -1 || ids.includes(id)).toBe(true);
      }
      expect([...bytes.subarray(view.payloadStart, view.payloadEnd)]).toEqual([...packet.payload]);
    }),
  );
});

test('renumberExtensions notes where the elements stand that are read or written on the way, and what they say', () => {
  const bytes = write({
    ...{ payloadType: 96, marker: true, sequence: 1, timestamp: 2, ssrc: 3, csrcs: [], padding: 0 },
    extensions: [
      { id: 8, data: Uint8Array.of(0x85) },
      { id: 6, data: Uint8Array.of(0x12, 0x34) },
      { id: 4, data: Uint8Array.of(1, 2, 3) },
      { id: 7, data: Uint8Array.of(9, 9, 9, 9) },
    ],
    payload: Uint8Array.of(1),
  });
  const ids = new Uint8Array(256);
  [ids[8], ids[6], ids[4], ids[7]] = [1, 3, 2, 12];
  const view = new RtpView();
  readRtp(bytes, view);
  renumberExtensions(bytes, view, ids);
  expect(view).toMatchObject({
    ...{ audioLevel: 5, voice: true, transportSequenceAt: 19, transportSequence: 0x1234, sendTimeAt: 22 },
    ...{ dependencyAt: 26, dependencyBytes: 4 },
  });
  const again = new RtpView();
  expect(readForwarded(bytes, again)).toBe(true);
  expect(again).toEqual(view);
  readRtp(
    write({
      ...{ payloadType: 1, marker: true, sequence: 1, timestamp: 2, ssrc: 3, csrcs: [], padding: 0 },
      extensions: [],
      payload: Uint8Array.of(1),
    }),
    view,
  );
  expect(view).toMatchObject({ audioLevel: -1, transportSequenceAt: 0, sendTimeAt: 0, dependencyAt: 0 });
});

test('two-byte extension headers (RFC 8285 section 4.3) are found and renumbered', () => {
  const packet = Buffer.from([
    ...[0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2],
    ...[0x10, 0x00, 0, 2, 20, 3, 7, 8, 9, 0, 21, 0],
    ...[1, 2, 3],
  ]);
  const view = new RtpView();
  expect(readRtp(packet, view)).toBe(true);
  expect(findExtension(packet, view, 20)).toBe(18);
  const ids = new Uint8Array(256);
  ids[20] = 13;
  renumberExtensions(packet, view, ids);
  expect(findExtension(packet, view, 13)).toBe(18);
  expect(findExtension(packet, view, 20)).toBe(-1);
});

test('one stream may change between one- and two-byte headers from packet to packet (RFC 8285 section 6)', () => {
  const header = [0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
  const oneByte = Buffer.from([...header, 0xbe, 0xde, 0, 1, 0x31, 1, 2, 0, 9]);
  const twoByte = Buffer.from([...header, 0x10, 0x00, 0, 2, 3, 2, 1, 2, 12, 0, 0, 0, 9]);
  const ids = new Uint8Array(256);
  ids[3] = 5;
  const view = new RtpView();
  for (const packet of [oneByte, twoByte, Buffer.from(oneByte), Buffer.from(twoByte)]) {
    expect(readRtp(packet, view)).toBe(true);
    if (findExtension(packet, view, 5) < 0) renumberExtensions(packet, view, ids);
    const at = findExtension(packet, view, 5);
    expect([...packet.subarray(at, at + 2)]).toEqual([1, 2]);
    expect([...packet.subarray(view.payloadStart)]).toEqual([9]);
  }
});

test('unwrapRtx restores the packet that a retransmission repeats, and drops probes without content', () => {
  fc.assert(
    fc.property(fields, uint16, uint32, (packet, original, ssrc) => {
      const bytes = write({ ...packet, payload: new Uint8Array([original >> 8, original & 255, ...packet.payload]) });
      const view = new RtpView();
      readRtp(bytes, view);
      const restored = unwrapRtx(bytes, view, 96, ssrc) as Buffer;
      expect(restored).toEqual(write({ ...packet, payloadType: 96, sequence: original, ssrc }));
      const reread = new RtpView();
      readRtp(restored, reread);
      expect(view).toEqual(reread);
      const probe = write({ ...packet, payload: new Uint8Array() });
      readRtp(probe, view);
      expect(unwrapRtx(probe, view, 96, ssrc)).toBeNull();
    }),
  );
});

test('isRtcp tells packet types 192-223 from RTP', () => {
  expect(isRtcp(Buffer.from([0x80, 200, 0, 0]))).toBe(true);
  expect(isRtcp(Buffer.from([0x80, 96, 0, 0]))).toBe(false);
  expect(isRtcp(Buffer.from([0x80, 0x80 | 111, 0, 0]))).toBe(false);
  expect(isRtcp(Buffer.alloc(0))).toBe(false);
});

test('sequenceDistance counts across the wrap, forwards and backwards', () => {
  expect(sequenceDistance(65_535, 0)).toBe(1);
  expect(sequenceDistance(0, 65_535)).toBe(-1);
  fc.assert(
    fc.property(uint16, fc.integer({ min: -32_768, max: 32_767 }), (from, ahead) => {
      expect(sequenceDistance(from, (from + ahead) & 0xffff)).toBe(ahead);
    }),
  );
});
