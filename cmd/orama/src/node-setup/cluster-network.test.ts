import { expect, test } from 'vitest';
import { inTrustedNetwork, present } from './cluster-network.ts';

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

const eth1 = { interface: 'eth1', address: '10.1.0.2', cidr: '10.1.0.2/24' };
const local = [
  { interface: 'eth0', address: '198.51.100.7', cidr: '198.51.100.7/24' },
  { interface: 'eth0', address: '10.2.0.2', cidr: '10.2.0.2/24' },
  eth1,
];

test('a network is trusted only where nobody else can be in it', () => {
  expect(inTrustedNetwork('10.1.0.0/24', 'eth1', local)).toMatchObject({ interface: 'eth1', network: '10.1.0.0/24' });
  expect(inTrustedNetwork('10.1.0.0/16', undefined, local)).toMatchObject({ interface: 'eth1', address: '10.1.0.2' });
  for (const open of ['0.0.0.0/0', '0.0.0.0/1', '8.0.0.0/5', '198.51.100.0/24', '10.0.0.0/7', 'fd00::/64'])
    expect(() => inTrustedNetwork(open, undefined, local), open).toThrow(`${open} is no private network`);
  expect(() => inTrustedNetwork('10.1.0.0/24', 'eth0', local)).toThrow('eth0 has no address in 10.1.0.0/24');
  expect(() => inTrustedNetwork('10.2.0.0/24', 'eth0', local)).toThrow('eth0 has the public address 198.51.100.7');
});

test('an interface by which the machine reaches the internet, or one of several that could be meant, is not trusted', () => {
  const inner = [{ interface: 'eth0', address: '10.0.0.2', cidr: '10.0.0.2/24' }, eth1];
  const choose = (network: string, wanted?: string) => inTrustedNetwork(network, wanted, inner, '10.0.0.2');
  expect(() => choose('10.0.0.0/8')).toThrow('eth0 and eth1 are both in 10.0.0.0/8');
  for (const wanted of ['eth0', undefined])
    expect(() => choose('10.0.0.0/24', wanted)).toThrow('eth0 leads to the internet');
  for (const [network, wanted] of [['10.0.0.0/8', 'eth1'] as const, ['10.1.0.0/24', undefined] as const])
    expect(choose(network, wanted)).toMatchObject({ interface: 'eth1', address: '10.1.0.2', network });
});
