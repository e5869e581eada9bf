import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { familyOf, ipv6ToBytes, ipv6ToText } from './address.ts';
import { ATTRIBUTE } from './attributes.ts';
import { CLASS, METHOD, messageType, StunMessage } from './message.ts';
import { longTermKey } from './password-algorithms.ts';
import { StunWriter } from './writer.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** RFC 5769 section 2.1. */
const REQUEST = bytes(`
  00010058 2112a442 b7e7a701 bc34d686 fa87dfae
  80220010 5354554e 20746573 7420636c 69656e74
  00240004 6e0001ff
  80290008 932ff9b1 51263b36
  00060009 6576746a 3a683676 59202020
  00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
  80280004 e57a3bcf`);
/** RFC 5769 section 2.2. */
const IPV4_RESPONSE = bytes(`
  0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
  8022000b 74657374 20766563 746f7220
  00200008 0001a147 e112a643
  00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
  80280004 c07d4c96`);
/** RFC 5769 section 2.3. */
const IPV6_RESPONSE = bytes(`
  01010048 2112a442 b7e7a701 bc34d686 fa87dfae
  8022000b 74657374 20766563 746f7220
  00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
  00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
  80280004 c8fb0b4c`);
/** RFC 5769 section 2.4. */
const LONG_TERM_REQUEST = bytes(`
  00010060 2112a442 78ad3433 c6ad72c0 29da412e
  00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
  0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
  0014000b 6578616d 706c652e 6f726700
  00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666`);

function parsed(buffer: Buffer): StunMessage {
  const message = StunMessage.parse(buffer);
  if (message === undefined) throw new Error('the message was refused');
  return message;
}

describe('StunMessage.parse, RFC 5769', () => {
  const shortTermKey = Buffer.from('VOkJxbRl1RmTxUk/WvJxBt');

  test('2.1 sample request: fingerprint, integrity and text', () => {
    const message = parsed(REQUEST);
    expect([message.method, message.cls]).toEqual([METHOD.binding, CLASS.request]);
    expect(message.text(ATTRIBUTE.software)).toBe('STUN test client');
    expect(message.text(ATTRIBUTE.username)).toBe('evtj:h6vY');
    expect(message.integrityMatches(shortTermKey)).toBe(true);
    expect(message.integrityMatches(Buffer.from('another key'))).toBe(false);
  });

  test('2.2 and 2.3 sample responses: mapped addresses of both families', () => {
    const ipv4 = parsed(IPV4_RESPONSE);
    expect([ipv4.method, ipv4.cls]).toEqual([METHOD.binding, CLASS.success]);
    expect(ipv4.address(ATTRIBUTE.xorMappedAddress)).toEqual({ family: 4, address: '192.0.2.1', port: 32853 });
    expect(ipv4.integrityMatches(shortTermKey)).toBe(true);
    const ipv6 = parsed(IPV6_RESPONSE);
    expect(ipv6.address(ATTRIBUTE.xorMappedAddress)).toEqual({
      family: 6,
      address: '2001:db8:1234:5678:11:2233:4455:6677',
      port: 32853,
    });
    expect(ipv6.integrityMatches(shortTermKey)).toBe(true);
  });

  test('2.4 long-term credentials', () => {
    const message = parsed(LONG_TERM_REQUEST);
    expect(message.text(ATTRIBUTE.username)).toBe('マトリックス');
    expect(message.text(ATTRIBUTE.realm)).toBe('example.org');
    expect(message.integrityMatches(longTermKey('マトリックス', 'example.org', 'TheMatrIX'))).toBe(true);
  });

  test('every flipped bit in front of the fingerprint refuses the message or the integrity', () => {
    for (let bit = 0; bit < (REQUEST.length - 8) * 8; bit++) {
      const flipped = Buffer.from(REQUEST);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const message = StunMessage.parse(flipped);
      // A changed attribute length can hide the fingerprint; the integrity notices.
      if (message !== undefined) {
        expect(message.has(ATTRIBUTE.fingerprint)).toBe(false);
        expect(message.integrityMatches(shortTermKey)).toBe(false);
      }
    }
  });
});

describe('StunMessage and StunWriter', () => {
  const transactionId = fc.uint8Array({ minLength: 12, maxLength: 12 });
  const method = fc.integer({ min: 0, max: 0xfff });
  const cls = fc.constantFrom(...Object.values(CLASS));
  const integrity = fc.constantFrom('sha1' as const, 'sha256' as const);

  test('messageType and parse agree on all methods and classes', () => {
    fc.assert(
      fc.property(method, cls, transactionId, (m, c, id) => {
        expect(messageType(m, c)).toBeLessThan(0x4000);
        const message = parsed(new StunWriter(m, c, id).finish());
        expect([message.method, message.cls, Buffer.compare(message.transactionId, Buffer.from(id))]).toEqual([
          m,
          c,
          0,
        ]);
      }),
    );
  });

  test('what is written is read again, with integrity and fingerprint', () => {
    const attributes = fc.array(fc.tuple(fc.integer({ min: 0x9000, max: 0xffff }), fc.uint8Array({ maxLength: 300 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(transactionId, attributes, fc.uint8Array({ minLength: 1 }), integrity, (id, list, key, kind) => {
        const writer = new StunWriter(METHOD.allocate, CLASS.request, id);
        for (const [type, value] of list) writer.bytes(type, value);
        const message = parsed(writer.finish({ key, integrity: kind, fingerprint: true }));
        const read = message.attributes.slice(0, list.length);
        expect(read.map(({ type }) => type)).toEqual(list.map(([type]) => type));
        read.forEach(({ offset, length }, index) => {
          expect(Buffer.compare(message.buffer.subarray(offset, offset + length), list[index]?.[1] as Uint8Array)).toBe(
            0,
          );
        });
        expect(message.integrity).toBe(kind);
        expect(message.integrityMatches(key)).toBe(true);
        expect(message.integrityMatches(Buffer.concat([key, Buffer.of(1)]))).toBe(false);
      }),
    );
  });

  test('parse is total: any bytes give a message or undefined', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (noise) => void StunMessage.parse(Buffer.from(noise))));
    const damaged = fc.record({
      at: fc.nat(LONG_TERM_REQUEST.length - 1),
      value: fc.nat(255),
      end: fc.nat(LONG_TERM_REQUEST.length),
    });
    fc.assert(
      fc.property(fc.array(damaged, { minLength: 1, maxLength: 4 }), (damages) => {
        let packet = Buffer.from(LONG_TERM_REQUEST);
        for (const { at, value, end } of damages) {
          packet[at] = value;
          if (at % 3 === 0) packet = packet.subarray(0, Math.max(end, at + 1));
        }
        const message = StunMessage.parse(packet);
        message?.addresses(ATTRIBUTE.xorPeerAddress);
        message?.unknownAttributes(new Set());
        expect(message?.errorCode).toSatisfy((code) => code === undefined || typeof code === 'number');
      }),
    );
  });

  test.each(['sha1', 'sha256'] as const)('attributes behind the integrity (%s) are ignored', (integrity) => {
    const writer = new StunWriter(METHOD.refresh, CLASS.request, Buffer.alloc(12));
    const sealed = writer.finish({ key: Buffer.from('k'), integrity });
    const forged = Buffer.concat([sealed, bytes('000d0004 00000000')]);
    forged.writeUInt16BE(forged.length - 20, 2);
    const message = parsed(forged);
    expect(message.integrityMatches(Buffer.from('k'))).toBe(true);
    expect(message.has(ATTRIBUTE.lifetime)).toBe(false);
  });

  test.each([0x0008, 0x001c])('an integrity attribute (type %i) of a wrong size refuses the message', (type) => {
    const writer = new StunWriter(METHOD.refresh, CLASS.request, Buffer.alloc(12));
    expect(StunMessage.parse(writer.bytes(type, Buffer.alloc(16)).finish())).toBeUndefined();
  });

  test('an address that is not masked survives the way, of either family', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(0xffff), (ip, port) => {
        const writer = new StunWriter(METHOD.allocate, CLASS.error, Buffer.alloc(12));
        const message = parsed(writer.plainAddress(ATTRIBUTE.alternateServer, ip, port).finish());
        const bytes = ipv6ToBytes(ip);
        const address = bytes === undefined ? ip : ipv6ToText(bytes);
        expect(message.plainAddress(ATTRIBUTE.alternateServer)).toEqual({ family: familyOf(ip), address, port });
      }),
    );
  });

  test('unknownAttributes names each unknown comprehension-required type once', () => {
    const writer = new StunWriter(METHOD.allocate, CLASS.request, Buffer.alloc(12));
    writer.flag(0x7fff).flag(0x7fff).flag(0x8fff).uint32(ATTRIBUTE.lifetime, 1).flag(ATTRIBUTE.dontFragment);
    expect(parsed(writer.finish()).unknownAttributes(new Set([ATTRIBUTE.lifetime]))).toEqual([0x7fff, 0x001a]);
  });

  test('unknownAttributes names sixteen of them', () => {
    const writer = new StunWriter(METHOD.allocate, CLASS.request, Buffer.alloc(12));
    for (let type = 0x7000; type < 0x7100; type++) writer.flag(type);
    const named = parsed(writer.finish()).unknownAttributes(new Set());
    expect(named).toEqual(Array.from({ length: 16 }, (_, index) => 0x7000 + index));
  });

  test('errorCode and its reason survive the way', () => {
    const writer = new StunWriter(METHOD.allocate, CLASS.error, Buffer.alloc(12));
    const message = parsed(writer.errorCode(438, 'Stale Nonce').finish());
    expect(message.errorCode).toBe(438);
    expect(message.bytes(ATTRIBUTE.errorCode)?.subarray(4).toString()).toBe('Stale Nonce');
  });
});
