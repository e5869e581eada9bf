import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { ORAMA, runJson } from './bed/orama.ts';

const PROBE = join(import.meta.dirname, 'bed/probe.ts');
/** What an operator may have: his own rules, and everything else dropped. */
const OPERATORS_NFT = `table inet filter {
  set blocked { type ipv4_addr; elements = { 203.0.113.77 } }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    iif lo accept
    ip saddr @blocked drop
    tcp dport { 22, 443 } accept
    icmp type echo-request accept
    drop
  }
}
table arp filter {
  chain input {
    type filter hook input priority filter; policy drop;
    arp htype 1 accept
  }
}`;

let bed: Bed;
let ufw: SystemdNode;
let nft: SystemdNode;
beforeAll(async () => {
  bed = await Bed.start({ bare: true, isInternet: true });
  [ufw, nft] = [bed.node(1), bed.node(2)];
  for (const command of ['--force enable', 'allow 22/tcp', 'allow 443/tcp', 'deny 80/tcp'])
    await ufw.do('ufw', ...command.split(' '));
  await loadOperatorsRules();
  // A client beside the nodes, who sends to their inner addresses what their kernels would take from anywhere.
  for (const { wireguardIp, publicIp } of [ufw, nft])
    await bed.fromClient('ip', 'route', 'add', wireguardIp, 'via', publicIp);
});
afterAll(() => bed?.close());

async function loadOperatorsRules(): Promise<void> {
  nft.write('/etc/nftables.conf', `flush ruleset\n${OPERATORS_NFT}\n`);
  await nft.do('nft', '-f', '/etc/nftables.conf');
}

/** How ports of a node are seen from outside. */
async function seen(address: string, ...ports: string[]): Promise<Record<string, string>> {
  const targets = ports.map((port) => port.replace('/', `/${address}/`));
  const { code, stdout, stderr } = await bed.fromClient(process.execPath, PROBE, ...targets);
  if (code !== 0) throw new Error(stderr);
  const found = JSON.parse(stdout) as Record<string, string>;
  return Object.fromEntries(ports.map((port, index) => [port, found[targets[index] as string] as string]));
}

/** The rules, those of ours too. */
const rulesOf = (node: SystemdNode) =>
  node === ufw ? node.do('ufw', 'show', 'added') : node.do('nft', '--stateless', 'list', 'ruleset');
const tagsOf = async (node: SystemdNode) => (await rulesOf(node)).match(/orama [^"'\n]+/g) ?? [];

/** Served, or refused by the machine itself: the firewall lets it through. */
const REACHED = /open|refused/;
const before = new Map<SystemdNode, string>();

test('nodes come together through ufw and nftables that drop what nobody allowed', async () => {
  for (const node of [ufw, nft]) before.set(node, await rulesOf(node));
  const network = ['--wireguard-network', WIREGUARD_NETWORK, '--dns', 'file', '--firewall', 'auto'];
  await runJson(ufw, 'node', 'init', '--base-domain', 'orama.test', '--name', 'node-1', ...network);
  expect(await ufw.do('cat', '/etc/orama/controlplane.yaml')).toContain('driver: ufw');
  const { token } = await runJson<{ token: string }>(ufw, 'node', 'invite');
  await expect.poll(() => tagsOf(ufw)).toContain('orama joining 51820/tcp');
  await runJson(nft, 'node', 'join', token, '--name', 'node-2', '--firewall', 'auto');
  expect(await nft.do('cat', '/etc/orama/controlplane.yaml')).toContain('driver: nftables');
  expect((await nft.run('curl', '-sSfm', '5', `http://${ufw.wireguardIp}:6001/healthz`)).code).toBe(0);
  expect((await ufw.run('curl', '-sSfm', '5', `http://${nft.wireguardIp}:6001/healthz`)).code).toBe(0);
});

test('before a namespace is there only the gateway is open, and nothing of the nodes own network from outside', async () => {
  for (const node of [ufw, nft]) {
    const { publicIp, wireguardIp } = node;
    // Its operator denies the port of plain HTTP, which a gateway would have open.
    const http = node === ufw ? 'silent' : 'refused';
    expect(await seen(publicIp, 'tcp/80', 'tcp/443', 'tcp/6001', 'tcp/6080', 'udp/3478', 'tcp/5349')).toEqual({
      ...{ 'tcp/80': http, 'tcp/443': 'refused', 'tcp/6001': 'silent', 'tcp/6080': 'silent' },
      ...{ 'udp/3478': 'silent', 'tcp/5349': 'silent' },
    });
    expect(await seen(wireguardIp, 'tcp/80', 'tcp/4001', 'tcp/6001')).toEqual({
      ...{ 'tcp/80': 'silent', 'tcp/4001': 'silent', 'tcp/6001': 'silent' },
    });
  }
  expect(await ufw.do('journalctl', '--no-pager', '-u', 'orama-controlplane')).toContain('"by":"deny 80/tcp"');
});

test('a namespace opens TURN, and its relay block where peers are public', async () => {
  await runJson(ufw, 'namespace', 'create', 'demo');
  const counts = ['--sfu-nodes', '2', '--turn-nodes', '2', '--peer-policy', 'public'];
  await runJson(ufw, 'namespace', 'enable', 'webrtc', '--namespace', 'demo', ...counts);
  for (const { publicIp } of [ufw, nft]) {
    const turn = { 'udp/3478': 'open', 'tcp/3478': 'open', 'tcp/5349': 'open' };
    await expect.poll(() => seen(publicIp, ...Object.keys(turn))).toEqual(turn);
    // Its block, the next one, and a port of SFUs.
    const ports = ['udp/49700', 'udp/50000', 'udp/20000'];
    await expect
      .poll(() => seen(publicIp, ...ports))
      .toEqual({ 'udp/49700': expect.stringMatching(REACHED), 'udp/50000': 'silent', 'udp/20000': 'silent' });
  }
});

test('an SFU is reached by the nodes, and by nobody from outside', async () => {
  for (const [{ wireguardIp }, other] of [[ufw, nft] as const, [nft, ufw] as const]) {
    expect(await seen(wireguardIp, 'tcp/30000', 'udp/20000')).toEqual({ 'tcp/30000': 'silent', 'udp/20000': 'silent' });
    const reached = () => other.run('curl', '-sSfm', '5', `http://${wireguardIp}:30000/healthz`);
    await expect.poll(async () => (await reached()).code).toBe(0);
  }
});

test('rules that somebody loads anew get ours back', async () => {
  await loadOperatorsRules();
  expect(await tagsOf(nft)).toEqual([]);
  await expect.poll(() => seen(nft.publicIp, 'tcp/5349')).toEqual({ 'tcp/5349': 'open' });
});

test('a disable closes what it opened', async () => {
  await runJson(ufw, 'namespace', 'disable', 'webrtc', '--namespace', 'demo');
  for (const { publicIp } of [ufw, nft]) {
    const ports = ['udp/3478', 'tcp/5349', 'udp/49700'];
    await expect
      .poll(() => seen(publicIp, ...ports))
      .toEqual(Object.fromEntries(ports.map((port) => [port, 'silent'])));
  }
});

const changeDriver = (node: SystemdNode, from: string, to: string) =>
  node.do('sed', '-i', `s/driver: ${from}$/driver: ${to}/`, '/etc/orama/controlplane.yaml');

test('with another driver in the configuration what the one before opened is closed', async () => {
  await changeDriver(nft, 'nftables', 'none');
  nft.write('/etc/refusing/nft', '#!/bin/sh\ncase "$*" in --file*) exit 1 ;; esac\nexec /usr/sbin/nft "$@"\n', 0o755);
  const refused = await nft.run('env', 'PATH=/etc/refusing:/usr/sbin:/usr/bin', ...ORAMA, 'node', 'join');
  expect(refused.stdout).toContain('--file -\\" failed');
  const state = () => nft.run('systemctl', 'is-active', 'orama-controlplane');
  await expect.poll(async () => (await state()).stdout.trim()).toBe('active');
  await runJson(nft, 'node', 'join');
  expect(await rulesOf(nft)).toBe(before.get(nft));
  await changeDriver(nft, 'none', 'nftables');
  await runJson(nft, 'node', 'join');
  await expect.poll(() => tagsOf(nft)).toContain('orama gateway 443/tcp');
});

test('a node that leaves takes all its rules with it and no other, also those that it would open no more', async () => {
  await changeDriver(ufw, 'ufw', 'none');
  for (const node of [ufw, nft]) {
    await runJson(node, 'node', 'leave', '--force');
    expect(await rulesOf(node)).toBe(before.get(node));
  }
});
