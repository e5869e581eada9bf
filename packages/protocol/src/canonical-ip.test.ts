import { SocketAddress } from 'node:net';
import { expect, test } from 'vitest';
import { canonicalIp } from './canonical-ip.ts';
import { ipSchema } from './names.ts';

test.each([
  '2001:DB8::1',
  '2001:0db8:0000:0000:0000:0000:0000:0001',
  '2001:db8:0:0:1:0:0:1',
  '2001:0:0:1:0:0:0:1',
  '2001:db8:0:1:1:1:1:1',
  '::',
  '::1',
  'fe80::',
  '1:0:0:0:0:0:0:0',
  '64:ff9b::c000:201',
  '64:ff9b::192.0.2.1',
  '::ffff:192.0.2.1',
  '0::FFFF:c000:0201',
])('%s is written as the system writes it', (address) => {
  const { address: expected } = new SocketAddress({ address, family: 'ipv6' });
  expect(canonicalIp(address)).toBe(expected);
  expect(ipSchema.parse(address)).toBe(expected);
});

test('an IPv4 address stays as it is, and what is no address is refused', () => {
  expect(ipSchema.parse('192.0.2.1')).toBe('192.0.2.1');
  expect(ipSchema.safeParse('2001:db8::1::2').success).toBe(false);
  expect(ipSchema.safeParse('[2001:db8::1]').success).toBe(false);
});
