import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { DATA } from './bed/root.ts';

const CONTROLPLANE = 'orama-controlplane.service';
const TURN = 'orama-turn.service';
const GATEWAY = 'orama-gateway.service';
const SFU = 'orama-namespace-sfu@demo.service';

let bed: Bed;
let node: SystemdNode;
beforeAll(async () => {
  bed = await Bed.start();
  node = bed.node(1);
  node.write('/etc/orama/cluster.key', '0'.repeat(64));
  // A store in a file belongs to those who share it.
  node.write(`${DATA}/store.sqlite`, '');
  node.write(
    '/etc/orama/controlplane.yaml',
    JSON.stringify({
      clusterId: 'nodes',
      node: 'node-1',
      wireguardIp: node.wireguardIp,
      publicIp: node.publicIp,
      wireguardNetwork: WIREGUARD_NETWORK,
      baseDomain: 'orama.test',
      dataDir: DATA,
      clusterKeyFile: '/etc/orama/cluster.key',
      store: { driver: 'sqlite', file: `${DATA}/store.sqlite` },
      api: {},
      services: { manager: 'systemd' },
      gateway: { listen: { address: '127.0.0.1', port: 6080 } },
      turn: { workers: 1, drainTimeoutMs: 7_000 },
      dns: { writer: 'file', file: `${DATA}/zone` },
    }),
  );
});
afterAll(() => bed?.close());

const orama = (...args: string[]) =>
  node.do(
    ...['/opt/orama/bin/node', '/opt/orama/cmd/orama/dist/main.js', '--api', 'http://127.0.0.1:6001'],
    ...['--cluster-key-file', '/etc/orama/cluster.key', ...args],
  );
const active = async (unit: string) => (await node.show(unit, 'ActiveState')).ActiveState;

test('a controlplane starts the units of its node, with what only the node knows', async () => {
  await node.do('systemctl', 'start', CONTROLPLANE);
  for (const unit of [TURN, GATEWAY]) await expect.poll(() => active(unit)).toBe('active');
  expect(await node.show(TURN, 'TimeoutStopUSec')).toEqual({ TimeoutStopUSec: '11s' });
  await expect.poll(async () => (await node.show(CONTROLPLANE, 'StatusText')).StatusText).toBe('ok');
});

test('a namespace that is enabled has its SFU as a unit, which systemd starts again, and none once it is disabled', async () => {
  await orama('namespace', 'create', 'demo');
  await orama('namespace', 'enable', 'webrtc', '--namespace', 'demo', '--sfu-nodes', '1', '--turn-nodes', '1');
  expect(await node.show(SFU, 'ActiveState', 'IPAddressAllow')).toEqual({
    ...{ ActiveState: 'active', IPAddressAllow: WIREGUARD_NETWORK },
  });
  await node.do('systemctl', 'kill', '--signal=SIGKILL', SFU);
  await expect
    .poll(() => node.show(SFU, 'ActiveState', 'NRestarts'))
    .toEqual({ ActiveState: 'active', NRestarts: '1' });
  const said = () => node.do('journalctl', '--no-pager', '-u', CONTROLPLANE, '--grep=service ended');
  await expect.poll(said).toContain('"unit":"orama-namespace-sfu@demo"');
  await orama('namespace', 'disable', 'webrtc', '--namespace', 'demo');
  await expect.poll(() => active(SFU)).toBe('inactive');
  expect(await node.do('ls', `${DATA}/configs`)).not.toContain('demo');
});

test('the units go on without their controlplane, and the next one leaves them as they are', async () => {
  const { InvocationID } = await node.show(TURN, 'InvocationID');
  await node.do('systemctl', 'restart', CONTROLPLANE);
  await expect.poll(async () => (await node.show(CONTROLPLANE, 'StatusText')).StatusText).toBe('ok');
  expect(await node.show(TURN, 'InvocationID', 'ActiveState')).toEqual({ InvocationID, ActiveState: 'active' });
});

test('stopping orama.target stops everything of the node', async () => {
  await node.do('systemctl', 'start', 'orama.target');
  await node.do('systemctl', 'stop', 'orama.target');
  for (const unit of [CONTROLPLANE, TURN, GATEWAY]) await expect.poll(() => active(unit)).toBe('inactive');
});
