import { waitUntil } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { Knot } from './bed/knot.ts';
import { publicIpOf, WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { ORAMA, refusedJson, runJson } from './bed/orama.ts';
import { DATA } from './bed/root.ts';

const INIT = ['node', 'init', '--base-domain', 'orama.test', '--wireguard-network', WIREGUARD_NETWORK, '--dns', 'file'];
const CONF = '/etc/wireguard/orama0.conf';

const SETTINGS = '/etc/orama/controlplane.yaml';
/** Of the client, where the DNS server is. */
const OUTSIDE_IP = publicIpOf(100);
const KEY_FILE = '/etc/orama/tsig.key';

let bed: Bed;
let knot: Knot;
beforeAll(async () => {
  bed = await Bed.start({ bare: true });
  knot = new Knot(['ip', 'netns', 'exec', bed.network.client], OUTSIDE_IP);
});
afterAll(async () => {
  await knot?.close();
  await bed?.close();
});

const inviteAs = () => runJson<{ id: string; token: string }>(bed.node(1), 'node', 'invite');
const invite = async () => (await inviteAs()).token;

/** Peers of the node's interface, as WireGuard and as its file has them. */
async function peers(node: SystemdNode): Promise<{ live: string[]; file: string[] }> {
  const addresses = (text: string) => [...text.matchAll(/10\.0\.0\.\d+(?=\/32)/g)].map(([address]) => address).sort();
  return {
    live: addresses(await node.do('wg', 'show', 'orama0', 'allowed-ips')),
    file: addresses(await node.do('cat', CONF)),
  };
}

test('a machine that is no node refuses what would be unsafe, and says what to do', async () => {
  const node = bed.node(1);
  const open = await refusedJson(node, ...INIT, '--wireguard-interface', 'eth0');
  expect(open).toMatchObject({ code: 4, error: { code: 'FORBIDDEN' } });
  expect(open.error.hint).toContain('leave --wireguard-interface out');
  expect((await refusedJson(node, ...INIT, '--trusted-network', '203.0.113.0/24')).error.message).toContain(
    'is no private network',
  );
  expect(await refusedJson(node, ...INIT, '--wireguard-network', '203.0.113.0/25')).toMatchObject({
    error: { message: '203.0.113.0/25 is in use on this machine: eth0 has 203.0.113.1/24' },
  });
  expect((await refusedJson(node, 'node', 'join', 'orama-join-x')).error.message).toBe(
    'this is no join token, or only a part of one',
  );
  // What was refused has left nothing.
  expect(await refusedJson(node, ...INIT, '--base-domain', `${'a.'.repeat(63)}test`)).toMatchObject({ code: 2 });
  expect(await runJson(node, 'node', 'leave')).toMatchObject({ outcome: 'unchanged' });
});

test('an interface that is up is used as it is, whoever wrote its file', async () => {
  const node = bed.node(2);
  const key = (await node.do('wg', 'genkey')).trim();
  node.write('/etc/wireguard/wg0.conf', `[Interface]\nPrivateKey = ${key}\nAddress = 10.77.0.3/32\n`);
  const init = [...INIT.slice(0, 4), '--wireguard-interface', 'wg0'];
  expect((await refusedJson(node, ...init)).error.message).toContain('was not made by orama');
  await node.do('systemctl', 'start', 'wg-quick@wg0');
  expect((await refusedJson(node, ...init)).error).toMatchObject({
    ...{ message: '10.77.0.3/32 of wg0 holds no other node' },
    hint: expect.stringContaining('--wireguard-network'),
  });
  expect(await runJson(node, 'node', 'leave')).toMatchObject({ outcome: 'unchanged' });
  await node.do('systemctl', 'stop', 'wg-quick@wg0');
  await node.do('rm', '/etc/wireguard/wg0.conf');
});

test('what a join left that was cut off is taken away, and nothing else', async () => {
  const node = bed.node(3);
  const dropIns = '/etc/systemd/system/orama-controlplane.service.d';
  await node.do(
    'sh',
    '-c',
    `mkdir -p ${dropIns} /etc/orama; echo '[Service]' >${dropIns}/override.conf; echo x >/etc/orama/cluster.key`,
  );
  const [head, key] = ['# Made by "orama node".', (await node.do('wg', 'genkey')).trim()];
  const rest = ` Peers below a line "# orama: <node>" are kept by its controlplane; others are yours.`;
  node.write(CONF, `${head}${rest}\n[Interface]\nPrivateKey = ${key}\nListenPort = 51820\nAddress = 10.0.0.9/24\n`);
  await node.do('systemctl', 'enable', '--now', 'wg-quick@orama0');
  expect(await runJson(node, 'node', 'leave')).toMatchObject({ outcome: 'changed', node: null });
  expect(await node.do('find', '/etc/orama', '/etc/wireguard', dropIns, '-mindepth', '1')).toBe(
    `${dropIns}/override.conf\n`,
  );
  expect(await node.do('ip', '-brief', 'link')).not.toContain('orama0');
  expect(await node.do('systemctl', 'list-units', '--no-legend', 'orama*.service', 'wg-quick*')).toBe('');
});

test('init makes the first node: an interface, a configuration that others cannot read, and services that serve', async () => {
  const node = bed.node(1);
  // Killed in the middle, and run again.
  await node.run('timeout', '--signal=KILL', '1.5', ...ORAMA, ...INIT, '--name', 'node-1');
  expect(await runJson(node, ...INIT, '--name', 'node-1')).toMatchObject({
    ...{ node: 'node-1', wireguardIp: '10.0.0.1', publicIp: '203.0.113.1' },
  });
  for (const unit of ['orama-rqlited.service', 'orama-controlplane.service'])
    expect((await node.show(unit, 'After')).After, unit).toContain('wg-quick@orama0.service');
  const key = await node.do('wg', 'show', 'orama0', 'public-key');
  const modes = await node.do('stat', '--format=%a', CONF, '/etc/orama/cluster.key', '/etc/orama/controlplane.yaml');
  expect(modes.trim().split('\n')).toEqual(['600', '600', '600']);
  // Again, on a node that runs; while another command, for which its first process stands, is at work.
  const lock = `awk '{ printf "{\\"pid\\":1,\\"startTime\\":\\"%s\\"}", $22 }' /proc/1/stat >/run/orama-node.lock`;
  await node.do('sh', '-c', lock);
  const busy = await refusedJson(node, ...INIT, '--name', 'node-1');
  expect(busy).toMatchObject({ code: 6, error: { message: expect.stringContaining('at work on this machine') } });
  await node.do('rm', '/run/orama-node.lock');
  await runJson(node, ...INIT, '--name', 'node-1');
  expect(await node.do('wg', 'show', 'orama0', 'public-key')).toBe(key);
  expect(await refusedJson(node, ...INIT, '--name', 'other')).toMatchObject({ code: 6, error: { code: 'CONFLICT' } });
});

test('the key of the DNS server is needed before the store is, and comes with a join unless there is another one', async () => {
  const node = bed.node(1);
  const dns = { writer: 'rfc2136', server: { address: OUTSIDE_IP }, tsig: { name: knot.key, keyFile: KEY_FILE } };
  const before = await node.do('cat', SETTINGS);
  const after = before.replace(/^dns:\n( .*\n)+/m, `dns: ${JSON.stringify(dns)}\n`);
  node.write(SETTINGS, after);
  await node.run('systemctl', 'restart', 'orama-controlplane.service');
  expect(await node.show('orama-controlplane.service', 'ExecMainStatus', 'ActiveState')).toEqual({
    ...{ ExecMainStatus: '2', ActiveState: 'failed' },
  });
  node.write(KEY_FILE, knot.secret);
  await node.do('systemctl', 'start', 'orama-controlplane.service');
  const { id, token } = await waitUntil('an invitation', inviteAs, () => true);
  await bed.node(2).do('mkdir', '-p', '/etc/orama');
  bed.node(2).write(KEY_FILE, 'another');
  const refused = await refusedJson(bed.node(2), 'node', 'join', token, '--name', 'node-2');
  expect(refused).toMatchObject({ code: 6, error: { message: expect.stringContaining('holds another secret') } });
  await bed.node(2).do('rm', KEY_FILE);
  const { nodes } = await runJson<{ nodes: { id: string }[] }>(node, 'node', 'list');
  expect(nodes.map(({ id }) => id)).toEqual(['node-1']);
  const { invitations } = await runJson<{ invitations: { id: string }[] }>(node, 'node', 'invite', '--list');
  // Beside one that was made and not answered, while the controlplane began.
  expect(invitations).toContainEqual(expect.objectContaining({ id, answeredBy: 'node-1', takenBy: null }));
  await runJson(node, 'node', 'invite', '--revoke', id);
  const late = await refusedJson(bed.node(2), 'node', 'join', token, '--name', 'node-2');
  expect(['UNAUTHORIZED', 'UNAVAILABLE']).toContain(late.error.code);
});

test('two machines join with tokens, and the three know each other', async () => {
  const token = await invite();
  // Nobody without an invitation gets further than the handshake.
  const tampered = Buffer.from(JSON.stringify({ ...readToken(token), secret: 'A'.repeat(43) })).toString('base64url');
  const stranger = await refusedJson(bed.node(2), 'node', 'join', `orama-join-${tampered}`, '--name', 'node-2');
  expect(stranger).toMatchObject({ code: 3, error: { code: 'UNAVAILABLE' } });
  // Left by an init that was cut off.
  await bed.node(2).do('sh', '-c', `mkdir -p /etc/orama; umask 077; echo ${'ab'.repeat(32)} >/etc/orama/cluster.key`);
  expect(await runJson(bed.node(2), 'node', 'join', token, '--name', 'node-2')).toMatchObject({
    wireguardIp: '10.0.0.2',
  });
  // It was for one machine: whoever comes with it again is refused, or finds the door closed by then.
  const late = await refusedJson(bed.node(3), 'node', 'join', token, '--name', 'node-3');
  expect(['UNAUTHORIZED', 'UNAVAILABLE']).toContain(late.error.code);
  bed.node(3).write('/root-token', await invite());
  const third = ['node', 'join', '--token-file', '/root-token', '--name', 'node-3'];
  await bed.node(3).run('timeout', '--signal=KILL', '2', ...ORAMA, ...third);
  // Nobody is invited there.
  expect(await bed.node(2).do('ss', '-Hltn', 'sport', '=', '51820')).toBe('');
  expect(await runJson(bed.node(3), ...third)).toMatchObject({ wireguardIp: '10.0.0.3' });
  const keys = await Promise.all(bed.nodes.map((node) => node.do('cat', '/etc/orama/cluster.key')));
  expect(new Set(keys).size).toBe(1);
  for (const other of [bed.node(2), bed.node(3)]) {
    expect(await other.do('cat', KEY_FILE)).toBe(`${knot.secret}\n`);
    expect((await other.do('stat', '--format=%a', KEY_FILE)).trim()).toBe('600');
  }
  for (const number of [1, 2, 3]) {
    const others = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].filter((address) => address !== `10.0.0.${number}`);
    await expect.poll(() => peers(bed.node(number))).toEqual({ live: others, file: others });
    const reached = await bed.node(number).run('ping', '-c', '1', '-W', '5', others[1] as string);
    expect(reached.code).toBe(0);
  }
  const { nodes } = await runJson<{ nodes: { id: string; alive: boolean }[] }>(bed.node(2), 'node', 'list');
  expect(nodes.map(({ id, alive }) => ({ id, alive }))).toEqual(
    ['node-1', 'node-2', 'node-3'].map((id) => ({ id, alive: true })),
  );
});

test('a node whose key is not the cluster’s is not called ready', async () => {
  const node = bed.node(3);
  const key = '/etc/orama/cluster.key';
  const restart = () => node.do('systemctl', 'restart', 'orama-gateway.service', 'orama-controlplane.service');
  await node.do('sh', '-c', `cp -p ${key} ${key}.kept && echo ${'cd'.repeat(32)} >${key}`);
  await restart();
  expect(await refusedJson(node, 'node', 'join')).toMatchObject({ code: 4, error: { code: 'UNAUTHORIZED' } });
  await node.do('mv', `${key}.kept`, key);
  await restart();
  expect(await refusedJson(node, 'node', 'join', '--name', 'other')).toMatchObject({ code: 6 });
  expect(await runJson(node, 'node', 'join')).toMatchObject({ node: 'node-3' });
});

test('WebRTC is enabled over it', async () => {
  await runJson(bed.node(1), 'namespace', 'create', 'demo');
  // On all of them, so that whichever leaves has relayed.
  await runJson(bed.node(1), 'namespace', 'enable', 'webrtc', '--namespace', 'demo', '--turn-nodes', '3');
  const status = await runJson<{ healthy: boolean; services: unknown[] }>(
    ...([bed.node(3), 'namespace', 'webrtc-status', '--namespace', 'demo'] as const),
  );
  expect(status).toMatchObject({ healthy: true, services: { length: 6 } });
  const { stdout } = await bed.fromClient('dig', `@${OUTSIDE_IP}`, '+short', 'turn.ns-demo.orama.test');
  expect(stdout).toContain('203.0.113.');
});

test('a cluster that lost its power comes back over what the files of WireGuard say', async () => {
  for (const node of bed.nodes) await node.losePower();
  await Promise.all(bed.nodes.map((node) => node.powerOn()));
  const status = () => runJson(bed.node(2), 'namespace', 'webrtc-status', '--namespace', 'demo').catch(() => null);
  await expect.poll(status, { timeout: 40_000 }).toMatchObject({ healthy: true });
});

test('WireGuard that dies is back within seconds, and the node says what is missing as long as it is', async () => {
  const node = bed.node(2);
  const status = async () => (await node.show('orama-controlplane.service', 'StatusText')).StatusText;
  await expect.poll(status).toBe('ok');
  await node.do('mv', CONF, '/root/conf');
  await node.do('pkill', '--signal', 'KILL', 'wireguard-go');
  await expect.poll(status).toContain('orama0 does not come up: "systemctl restart wg-quick@orama0.service" failed');
  await node.do('mv', '/root/conf', CONF);
  await expect.poll(status).toBe('ok');
  expect((await node.run('ping', '-c', '1', '-W', '5', '10.0.0.1')).code).toBe(0);
  await expect.poll(() => runJson(node, 'namespace', 'list').catch(() => null)).not.toBeNull();
  // As it is after a boot at which it did not come up: the controlplane has nowhere to listen before.
  await node.do('systemctl', 'stop', 'orama-controlplane.service');
  await node.do('pkill', '--signal', 'KILL', 'wireguard-go');
  await node.do('systemctl', 'start', 'orama-controlplane.service');
  await expect.poll(status).toBe('ok');
});

test('a node that leaves is a peer of nobody and has no vote; on the machine nothing is left, and it may join again', async () => {
  const node = bed.node(3);
  expect(await refusedJson(node, 'node', 'leave')).toMatchObject({ code: 6, error: { code: 'CONFLICT' } });
  await runJson(node, 'node', 'drain', 'node-3', '--deadline', '1');
  expect(await runJson(node, 'node', 'leave')).toMatchObject({ outcome: 'changed' });
  for (const number of [1, 2]) {
    const other = [`10.0.0.${3 - number}`];
    await expect.poll(() => peers(bed.node(number))).toEqual({ live: other, file: other });
  }
  const credentials = (await bed.node(1).do('cat', '/etc/orama/store.credentials')).trim();
  const members = () => bed.node(1).do('curl', '-sSu', credentials, 'http://10.0.0.1:4001/nodes');
  await expect.poll(async () => Object.keys(JSON.parse(await members()))).toEqual(['node-1', 'node-2']);
  expect(await node.do('ip', '-brief', 'link')).not.toContain('orama0');
  expect(await node.do('find', '/etc/orama', '/etc/wireguard', DATA, '-mindepth', '1')).toBe('');
  expect(await node.do('systemctl', 'list-units', '--no-legend', 'orama*.service', 'wg-quick*')).toBe('');
  expect(await runJson(node, 'node', 'join', await invite(), '--name', 'node-3')).toMatchObject({
    wireguardIp: '10.0.0.3',
  });
});

test('the last of a cluster that had joined it goes on alone, also after a restart', async () => {
  const last = bed.node(2);
  await runJson(bed.node(1), 'namespace', 'disable', 'webrtc', '--namespace', 'demo');
  for (const number of [1, 3]) {
    await runJson(last, 'node', 'drain', `node-${number}`, '--deadline', '1');
    await runJson(bed.node(number), 'node', 'leave');
  }
  await last.do('systemctl', 'restart', 'orama-rqlited.service');
  const nodes = async () =>
    (await runJson<{ nodes: { id: string }[] }>(last, 'node', 'list')).nodes.map(({ id }) => id);
  await expect.poll(() => nodes().catch(() => null), { timeout: 30_000 }).toEqual(['node-2']);
});

function readToken(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.slice('orama-join-'.length), 'base64url').toString()) as Record<string, unknown>;
}
