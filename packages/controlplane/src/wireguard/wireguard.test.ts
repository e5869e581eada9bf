import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { nodeRow } from '../../testing/rows.ts';
import { formatConf, parseConf } from './conf-file.ts';
import { createPrivateWireguardKey, publicWireguardKey } from './keys.ts';
import { planPeers, wantedPeers } from './plan-peers.ts';

const KEYS = Array.from({ length: 4 }, () => publicWireguardKey(createPrivateWireguardKey()));
const peer = (number: number, changes: object = {}) => ({
  node: `node-${number}`,
  publicKey: KEYS[number] as string,
  endpoint: `203.0.113.${number}:51820`,
  wireguardIp: `10.0.0.${number}`,
  ...changes,
});
const live = (number: number, changes: object = {}) => ({
  publicKey: KEYS[number] as string,
  endpoint: `203.0.113.${number}:51820`,
  allowedIps: `10.0.0.${number}/32`,
  ...changes,
});

test('publicWireguardKey() says what wg(8) says', () => {
  const key = createPrivateWireguardKey();
  expect(publicWireguardKey(key)).toBe(execFileSync('wg', ['pubkey'], { input: key, encoding: 'utf8' }).trim());
});

test('a file of ours is read as it was written, and what an operator added to it stays', () => {
  const conf = {
    privateKey: createPrivateWireguardKey(),
    listenPort: 51_820,
    address: '10.0.0.1/24',
    peers: [peer(2), peer(3, { endpoint: '[2001:db8::3]:51820' })],
    foreign: '',
  };
  expect(parseConf(formatConf(conf))).toEqual(conf);
  const laptop = '# my laptop\n[Peer]\nPublicKey = x\nAllowedIPs = 10.0.0.99/32';
  const [head, ...rest] = formatConf(conf).split('\n\n');
  const edited = parseConf([head, laptop, ...rest].join('\n\n'));
  expect(edited).toEqual({ ...conf, foreign: laptop });
  expect(parseConf(formatConf(edited as NonNullable<typeof edited>))).toEqual(edited);
  expect(parseConf('[Interface]\nPrivateKey = x\nListenPort = 1\n')).toBeNull();
});

test('wantedPeers() are the other nodes that are part of the cluster and have an interface that is kept', () => {
  const wireguard = { publicKey: KEYS[1] as string, endpoint: '203.0.113.1:51820' };
  const nodes = [
    nodeRow(1, { wireguard }),
    nodeRow(2, { wireguard, state: 'draining', reachable: false }),
    nodeRow(3, { wireguard, state: 'gone' }),
    nodeRow(4),
  ];
  expect(wantedPeers(nodes, 'node-1').map(({ node }) => node)).toEqual(['node-2']);
});

test.each<[string, Parameters<typeof planPeers>, { set?: string[]; remove?: string[] }]>([
  ['nothing where all is there', [[peer(2)], [peer(2)], [live(2)]], {}],
  ['a node that joined', [[peer(2), peer(3)], [peer(2)], [live(2)]], { set: ['node-3'] }],
  ['a node that was removed', [[], [peer(2)], [live(2)]], { remove: ['node-2'] }],
  ['one that somebody took off the interface', [[peer(2)], [peer(2)], []], { set: ['node-2'] }],
  [
    'one whose address somebody changed',
    [[peer(2)], [peer(2)], [live(2, { allowedIps: '0.0.0.0/0' })]],
    { set: ['node-2'] },
  ],
  [
    'another endpoint in the store',
    [[peer(2)], [peer(2, { endpoint: '198.51.100.2:1' })], [live(2)]],
    { set: ['node-2'] },
  ],
  [
    'not an endpoint that WireGuard found itself',
    [[peer(2)], [peer(2)], [live(2, { endpoint: '198.51.100.2:1' })]],
    {},
  ],
  ['not a peer that an operator added', [[], [], [live(3)]], {}],
  [
    'one that joined anew with another key',
    [[peer(2)], [peer(2, { publicKey: KEYS[3] })], [live(3)]],
    { set: ['node-2'], remove: ['node-2'] },
  ],
])('planPeers() changes %s', (_, given, wanted) => {
  const { set, remove } = planPeers(...given);
  const names = (changes: readonly { peer: { node: string } }[]) => changes.map((change) => change.peer.node);
  expect({ set: names(set), remove: names(remove) }).toEqual({ set: [], remove: [], ...wanted });
});
