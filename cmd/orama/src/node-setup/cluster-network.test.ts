import { expect, test } from 'vitest';
import { present } from './cluster-network.ts';

const wg0 = { interface: 'wg0', address: '10.77.0.3', cidr: '10.77.0.3/24' };

test('an interface that is there is in the network that its address says, unless another one is named', () => {
  expect(present(wg0)).toMatchObject({ interface: 'wg0', address: '10.77.0.3', network: '10.77.0.3/24' });
  const alone = { ...wg0, cidr: '10.77.0.3/32' };
  expect(present(alone, '10.77.0.0/16')).toMatchObject({ network: '10.77.0.0/16' });
  expect(() => present(alone)).toThrow('10.77.0.3/32 of wg0 holds no other node');
});

test('a network between the nodes that is not IPv4 is refused', () => {
  expect(() => present({ interface: 'wg0', address: 'fd00::1', cidr: 'fd00::1/64' })).toThrow('has to be IPv4');
});
