import { expect, test } from 'vitest';
import { proxyHeader } from './proxy-header.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const ports = { remotePort: 0x1234, localPort: 443 };

test.each([
  ['IPv4', '192.0.2.1', '198.51.100.2', '2111000cc0000201c633640212340 1bb'],
  ['IPv4 in IPv6', '::ffff:192.0.2.1', '::ffff:198.51.100.2', '2111000cc0000201c633640212340 1bb'],
  [
    'IPv6',
    '2001:db8::1',
    '2001:db8::2',
    '2121002420010db800000000000000000000000120010db8000000000000000000000002 123401bb',
  ],
  [
    'IPv6 with a zone',
    'fe80::1%eth0',
    'fe80::2',
    '21210024fe800000000000000000000000000001fe800000000000000000000000000002123401bb',
  ],
])('proxyHeader names both ends over %s', (_family, remoteAddress, localAddress, bytes) => {
  const header = proxyHeader({ remoteAddress, localAddress, ...ports });
  expect(header.toString('hex')).toBe(SIGNATURE + bytes.replaceAll(' ', ''));
});
