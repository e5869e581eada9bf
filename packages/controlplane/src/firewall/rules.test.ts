import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { settings, sfuRow, turnRow } from '../../testing/rows.ts';
import { joinDesired } from '../reconcile/desired.ts';
import type { FirewallRule } from './firewall.ts';
import { distinct, invitationRules, namespaceRules, nodeRules } from './rules.ts';

const INTERFACES = [
  { interface: 'lo', address: '127.0.0.1' },
  { interface: 'eth0', address: '192.168.1.5' },
  { interface: 'orama0', address: '10.0.0.1' },
];
const config = testConfig('/nowhere', {
  wireguardIp: '10.0.0.1',
  wireguardNetwork: '10.0.0.0/24',
  publicIp: '203.0.113.1',
  turn: { external: { '192.168.1.5': '203.0.113.1' } },
  wireguard: { interface: 'orama0', publicKey: `${'A'.repeat(43)}=`, endpoint: '203.0.113.1:51821' },
  invitations: { listen: { address: '192.168.1.5', port: 51_821 }, endpoint: '203.0.113.1:51821' },
  dns: { writer: 'embedded' },
});
const tags = (rules: readonly FirewallRule[]) => rules.map(({ tag }) => tag);

test('a node opens WireGuard, the gateway and DNS to all, and everything of the nodes on their interface only', () => {
  expect(tags(nodeRules(config, INTERFACES))).toEqual([
    'orama WireGuard 51821/udp',
    'orama gateway 80/tcp',
    'orama gateway 443/tcp',
    'orama DNS 53/udp',
    'orama DNS 53/tcp',
    'orama nodes 6001/tcp on orama0',
    'orama nodes 6002/tcp on orama0',
    'orama nodes 6003/tcp on orama0',
    'orama SFU signalling 30000-30099/tcp on orama0',
    'orama SFU media 20000-29999/udp on orama0',
    'orama TURN relay 49152-65535/udp on orama0',
    'orama nodes only 10.0.0.1 on eth0',
  ]);
  expect(nodeRules(config, INTERFACES).at(-1)).toMatchObject({ action: 'deny', interface: 'eth0', to: '10.0.0.1' });
});

test('nothing is opened for the nodes before their interface is there', () => {
  expect(tags(nodeRules(config, INTERFACES.slice(0, 2))).filter((tag) => /nodes|SFU|relay/.test(tag))).toEqual([]);
});

test('TURN is open where a namespace has a block, and its relay block where it may be reached by anybody', () => {
  const here = (peerPolicy: 'sfu' | 'public', rows: Parameters<typeof joinDesired>[1]) =>
    tags(namespaceRules(config, joinDesired([{ ...settings('demo'), peerPolicy }], rows)));
  const turn = ['orama TURN 3478/udp', 'orama TURN 3478/tcp', 'orama TURN 5349/tcp'];
  expect(here('sfu', [sfuRow('demo', 1), turnRow('demo', 2)])).toEqual([]);
  expect(here('sfu', [turnRow('demo', 1)])).toEqual(turn);
  expect(here('public', [turnRow('demo', 1)])).toEqual([...turn, 'orama TURN relay of demo 49152-49951/udp']);
  // Its clients are still there.
  expect(here('public', [{ ...turnRow('demo', 1), leavingSinceMs: 1 }])).toHaveLength(4);
});

test('machines join by the public address, or by the network that is there already', () => {
  expect(tags(invitationRules(config, INTERFACES))).toEqual(['orama joining 51821/tcp']);
  const inner = {
    ...config,
    invitations: { listen: { address: '10.0.0.1', port: 51_820 }, endpoint: '10.0.0.1:51820' },
  };
  expect(tags(invitationRules(inner, INTERFACES))).toEqual(['orama joining 51820/tcp on orama0']);
});

test('a port that is needed for two reasons has one rule', () => {
  const shared = { ...config, turn: { ...config.turn, port443: true } };
  const here = joinDesired([settings('demo')], [turnRow('demo', 1)]);
  const all = [...nodeRules(shared, INTERFACES), ...namespaceRules(shared, here)];
  expect(tags(all).filter((tag) => tag.includes(' 443/'))).toEqual(['orama gateway 443/tcp', 'orama TURN 443/tcp']);
  expect(tags(distinct(all)).filter((tag) => tag.includes(' 443/'))).toEqual(['orama gateway 443/tcp']);
  expect(distinct(all)).toHaveLength(all.length - 1);
});
