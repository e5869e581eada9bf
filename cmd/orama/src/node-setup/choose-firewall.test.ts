import { expect, test } from 'vitest';
import { describeFound } from './choose-firewall.ts';

const BY_HAND = 'iptables keeps ports closed: open those of docs/operations.md there yourself';

test('what keeps ports closed is told, and who opens them', () => {
  expect(describeFound('auto', { driver: 'none', byHand: null })).toEqual([
    'no firewall was found that keeps ports closed',
  ]);
  expect(describeFound('none', { driver: 'none', byHand: null })).toEqual([]);
  expect(describeFound('auto', { driver: 'none', byHand: 'iptables' })).toEqual([BY_HAND]);
  expect(describeFound('none', { driver: 'none', byHand: 'iptables' })).toEqual([BY_HAND]);
  expect(describeFound('auto', { driver: 'ufw', byHand: null })).toEqual(['ufw is told which ports the node needs']);
  expect(describeFound('none', { driver: 'ufw', byHand: null })).toEqual([
    'ufw keeps ports closed: open those of docs/operations.md in it, or have that done by --firewall auto',
  ]);
  expect(describeFound('auto', { driver: 'nftables', byHand: 'the nftables chain inet vpn input' })).toHaveLength(2);
});
