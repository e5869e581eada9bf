import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  endpointKey,
  hostKey,
  ipv4ToNumber,
  ipv4ToText,
  ipv6ToBytes,
  ipv6ToText,
  MAGIC_COOKIE,
  readXorAddress,
  writeXorAddress,
} from './address.ts';

test('ipv4ToNumber and ipv4ToText are each other’s inverse', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), (ip) => ipv4ToNumber(ipv4ToText(ip)) === ip));
});

test.each([
  '',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1..2.3',
  '1.2.3.',
  '.1.2.3',
  '1.2.3.4 ',
  '::1',
  'a.b.c.d',
])('ipv4ToNumber refuses %j', (text) => {
  expect(ipv4ToNumber(text)).toBe(-1);
});

test('ipv6ToText writes what the system writes, and ipv6ToBytes reads it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 }), (groups) => {
      const bytes = Buffer.alloc(16);
      groups.forEach((group, index) => {
        bytes.writeUInt16BE(group, index * 2);
      });
      const text = ipv6ToText(bytes);
      const back = ipv6ToBytes(text) as Uint8Array;
      expect(Buffer.compare(bytes, back)).toBe(0);
      expect(
        Buffer.compare(bytes, ipv6ToBytes(groups.map((group) => group.toString(16)).join(':')) as Uint8Array),
      ).toBe(0);
      // The system writes some addresses with an IPv4 tail; those are compared by their bytes alone.
      const system = new SocketAddress({ address: text, family: 'ipv6' }).address;
      if (!system.includes('.')) expect(text).toBe(system);
      else expect(Buffer.compare(bytes, ipv6ToBytes(system) as Uint8Array)).toBe(0);
    }),
  );
});

test.each([
  '',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '::12345',
  '::g',
  '1.2.3.4',
  '::1.2.3',
  'fe80::1%eth0',
])('ipv6ToBytes refuses %j', (text) => {
  expect(ipv6ToBytes(text)).toBeUndefined();
});

test('an XOR address is read as it was written, whatever the transaction id', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, fc.nat(0xffff), fc.uint8Array({ minLength: 12, maxLength: 12 }), (ip, port, id) => {
      const message = Buffer.alloc(64);
      message.writeUInt32BE(MAGIC_COOKIE, 4);
      message.set(id, 8);
      const length = writeXorAddress(message, 24, ip, port);
      const read = readXorAddress(message, 24, length);
      expect(read?.port).toBe(port);
      const same = ipv4ToNumber(ip) >= 0 ? ip : ipv6ToText(ipv6ToBytes(ip) as Uint8Array);
      expect(read?.address).toBe(same);
      expect(readXorAddress(message, 24, length - 1)).toBeUndefined();
    }),
  );
});

test('writeXorAddress throws on what is no address', () => {
  expect(() => writeXorAddress(Buffer.alloc(64), 24, 'localhost', 1)).toThrow(RangeError);
});

test('endpointKey is different for every IPv4 address and port, and hostKey for every host', () => {
  expect(endpointKey(hostKey('255.255.255.255'), 65_535)).toBe(2 ** 48 - 1);
  expect(endpointKey(hostKey('0.0.0.1'), 0)).not.toBe(endpointKey(hostKey('0.0.0.0'), 65_535));
  expect(endpointKey(hostKey('::1'), 5)).not.toBe(endpointKey(hostKey('::1'), 6));
  expect(hostKey('10.0.0.1')).toBe(0x0a000001);
  expect(hostKey('fe80::1')).toBe('fe80::1');
});
