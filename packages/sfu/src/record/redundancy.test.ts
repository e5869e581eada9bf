import { expect, test } from 'vitest';
import { RtpView, readRtp } from '../rtp/header.ts';
import { withoutRedundancy } from './redundancy.ts';

const HEADER = '6f 0001 00000002 00000003';

/** A packet by the first byte of its header and its payload, in hex; what is left of it likewise. */
function plain(first: string, payload: string): string | null {
  const packet = Buffer.from(`${first}${HEADER}${payload}`.replaceAll(' ', ''), 'hex');
  const view = new RtpView();
  expect(readRtp(packet, view)).toBe(true);
  return withoutRedundancy(packet, view)?.toString('hex') ?? null;
}
const packetOf = (payload: string) => `80${HEADER}${payload}`.replaceAll(' ', '');

test('withoutRedundancy leaves the newest block under the same header, padding left out', () => {
  expect(plain('80', '6f bb')).toBe(packetOf('bb'));
  expect(plain('80', 'ef 000002 6f  aaaa bb')).toBe(packetOf('bb'));
  expect(plain('80', 'ef 000001 ef 000002 6f  99 aaaa bbcc')).toBe(packetOf('bbcc'));
  expect(plain('a0', 'ef 000002 6f  aaaa bb 0002')).toBe(packetOf('bb'));
});

test('withoutRedundancy leaves a packet without content as it is', () => {
  expect(plain('80', '')).toBe(packetOf(''));
});

test('withoutRedundancy gives nothing for blocks that are longer than the packet, or cut off', () => {
  for (const payload of ['ef', 'ef 0000', 'ef 0003ff 6f aa', 'ef 000001 6f', '6f'])
    expect([payload, plain('80', payload)]).toEqual([payload, null]);
});
