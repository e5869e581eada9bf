import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { privateIpOf, WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { refusedJson, runJson } from './bed/orama.ts';

// Machines whose addresses are somebody else's: one behind 1:1 NAT, and some that an operator has joined by WireGuard.
const INIT = ['node', 'init', '--base-domain', 'orama.test', '--dns', 'file', '--name', 'node-1'];
/** Of the one behind NAT. */
const privateIp = privateIpOf(2);

let bed: Bed;
let publicIp: string;
beforeAll(async () => {
  bed = await Bed.start({ bare: true, behindNat: [2], isInternet: true });
  publicIp = bed.node(2).publicIp;
});
afterAll(() => bed?.close());

const invite = async () => (await runJson<{ token: string }>(bed.node(1), 'node', 'invite')).token;
const configOf = (node: SystemdNode) => node.do('cat', '/etc/orama/controlplane.yaml');

interface Checks {
  checks: { allocate: { relayed: string }; relay: { sent: number; received: number } }[];
}

test('a machine behind 1:1 NAT is told how it is seen when it joins, and TURN there is reached at that address', async () => {
  await runJson(bed.node(1), ...INIT, '--wireguard-network', WIREGUARD_NETWORK);
  const nat = bed.node(2);
  expect(await runJson(nat, 'node', 'join', await invite(), '--name', 'node-2')).toMatchObject({
    ...{ publicIp, wireguardIp: '10.0.0.2' },
  });
  const config = await configOf(nat);
  expect(config).toContain(`${privateIp}: ${publicIp}`);
  await runJson(bed.node(1), 'namespace', 'create', 'demo');
  const size = ['--sfu-nodes', '2', '--turn-nodes', '2'];
  await runJson(
    bed.node(1),
    'namespace',
    'enable',
    'webrtc',
    '--namespace',
    'demo',
    '--peer-policy',
    'public',
    ...size,
  );
  const sockets = await nat.do('ss', '-Hlun', 'sport', '=', '3478');
  expect(sockets).toContain(`${privateIp}:3478`);
  for (const transport of ['udp', 'tcp']) {
    // From outside: the other node.
    const uri = `turn:${publicIp}:3478?transport=${transport}`;
    const { checks } = await runJson<Checks>(bed.node(1), 'turn', 'check', uri, '--namespace', 'demo');
    expect(checks[0]?.allocate.relayed).toMatch(new RegExp(`^${publicIp}:\\d+$`));
    expect(checks[0]?.relay).toMatchObject({ sent: 10, received: 10 });
  }
});

test('the first machine behind 1:1 NAT has to be told its public address; a network that its operator trusts needs no WireGuard', async () => {
  await runJson(bed.node(1), 'namespace', 'disable', 'webrtc', '--namespace', 'demo');
  for (const number of [2, 1]) await runJson(bed.node(number), 'node', 'leave', '--force');
  const nat = bed.node(2);
  const refused = await refusedJson(nat, ...INIT);
  expect(refused.error.message).toContain(`cannot be told from its own (${privateIp})`);
  expect(refused.error.hint).toContain('--public-ip');
  // A second network card.
  for (const args of ['link add lan1 type veth peer lan2', 'addr add 10.1.0.2/24 dev lan1'])
    await nat.do('ip', ...args.split(' '));
  for (const end of ['lan1', 'lan2']) await nat.do('ip', 'link', 'set', end, 'up');
  const trusted = ['--wireguard-interface', 'lan1', '--trusted-network', '10.1.0.0/24'];
  expect(await runJson(nat, ...INIT, '--public-ip', publicIp, ...trusted)).toMatchObject({
    ...{ publicIp, wireguardIp: '10.1.0.2' },
  });
  expect(await configOf(nat)).toContain(`${privateIp}: ${publicIp}`);
  expect(await nat.do('ip', '-brief', 'link')).not.toContain('orama0');
  await runJson(nat, 'namespace', 'create', 'demo');
  const size = ['--sfu-nodes', '1', '--turn-nodes', '1'];
  await runJson(nat, 'namespace', 'enable', 'webrtc', '--namespace', 'demo', ...size);
  const sfu = await nat.show('orama-namespace-sfu@demo.service', 'ActiveState', 'IPAddressAllow');
  expect(sfu).toEqual({ ActiveState: 'active', IPAddressAllow: '10.1.0.0/24' });
  await runJson(nat, 'node', 'leave', '--force');
});

test('nodes come together over WireGuard that an operator made, whose peers and file stay as they are', async () => {
  const [first, third] = [bed.node(1), bed.node(3)];
  const files = await makeWireguard(first, third);
  const adopt = ['--wireguard-interface', 'wg0'];
  expect(await runJson(first, ...INIT, ...adopt)).toMatchObject({ wireguardIp: '10.77.0.1' });
  // What was made for orama does not go with it.
  expect(await runJson(third, 'node', 'join', await invite(), '--name', 'node-3', ...adopt)).toMatchObject({
    wireguardIp: '10.77.0.3',
  });
  await runJson(first, 'namespace', 'create', 'demo');
  const size = ['--sfu-nodes', '2', '--turn-nodes', '2'];
  await runJson(first, 'namespace', 'enable', 'webrtc', '--namespace', 'demo', ...size);
  const status = await runJson(third, 'namespace', 'webrtc-status', '--namespace', 'demo');
  expect(status).toMatchObject({ healthy: true, services: { length: 4 } });
  await runJson(first, 'namespace', 'disable', 'webrtc', '--namespace', 'demo');
  for (const node of [third, first]) await runJson(node, 'node', 'leave', '--force');
  for (const [index, node] of [first, third].entries()) {
    expect(await node.do('cat', '/etc/wireguard/wg0.conf')).toBe(files[index]);
    expect(await node.do('wg', 'show', 'wg0', 'allowed-ips')).toContain('10.77.0.');
    expect(await node.do('ip', '-brief', 'link')).not.toContain('orama0');
  }
});

/** wg0 on two machines, each the other's peer, made by hand; the text of their files. */
async function makeWireguard(...nodes: [SystemdNode, SystemdNode]): Promise<string[]> {
  const keys = await Promise.all(nodes.map(async (node) => (await node.do('wg', 'genkey')).trim()));
  return Promise.all(
    nodes.map(async (node, index) => {
      const peer = nodes[1 - index] as SystemdNode;
      const publicKey = await node.do('sh', '-c', `echo ${keys[1 - index]} | wg pubkey`);
      const lines = [
        ...['[Interface]', `PrivateKey = ${keys[index]}`, `Address = 10.77.0.${node.number}/24`, 'ListenPort = 51900'],
        ...['[Peer]', `PublicKey = ${publicKey.trim()}`, `Endpoint = ${peer.publicIp}:51900`],
        ...[`AllowedIPs = 10.77.0.${peer.number}/32`, ''],
      ];
      node.write('/etc/wireguard/wg0.conf', lines.join('\n'));
      await node.do('systemctl', 'enable', '--now', 'wg-quick@wg0');
      return lines.join('\n');
    }),
  );
}
