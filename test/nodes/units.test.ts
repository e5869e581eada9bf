import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { WIREGUARD_NETWORK } from './bed/network.ts';
import type { SystemdNode } from './bed/node.ts';
import { DATA } from './bed/root.ts';

const TURN = 'orama-turn.service';
const SFU = 'orama-namespace-sfu@demo.service';
const OTHER_SFU = 'orama-namespace-sfu@other.service';
const SFU_PORT = 30_000;

let bed: Bed;
let node: SystemdNode;
beforeAll(async () => {
  bed = await Bed.start();
  node = bed.node(1);
  writeConfigs();
  await dropIn('orama-namespace-sfu@.service', `IPAddressAllow=${WIREGUARD_NETWORK}`);
});
afterAll(() => bed?.close());

/** What a controlplane writes for its units. */
function writeConfigs(): void {
  const config = (unit: string, content: object) =>
    node.write(`${DATA}/configs/${unit}/config.json`, JSON.stringify({ node: 'node-1', ...content }));
  config('orama-turn', {
    listen: [node.publicIp],
    realm: 'orama.test',
    controlSocket: `${DATA}/run/turn.sock`,
    internal: { address: node.wireguardIp },
  });
  for (const [number, namespace] of ['demo', 'other'].entries()) {
    const unit = `orama-namespace-sfu@${namespace}`;
    node.write(`${DATA}/configs/${unit}/secret`, 'the secret of the namespace\n');
    const mediaPortStart = 20_000 + 500 * number;
    config(unit, {
      namespace,
      address: node.wireguardIp,
      wireguardNetwork: WIREGUARD_NETWORK,
      ...{ signalingPort: SFU_PORT + number, mediaPortStart, mediaPortEnd: mediaPortStart + 499 },
      secretFile: `${DATA}/configs/${unit}/secret`,
      turn: { secret: 'the secret of its TURN servers', uris: [] },
      drainTimeoutMs: 5_000,
    });
  }
}

async function dropIn(unit: string, setting: string): Promise<void> {
  const folder = `/run/systemd/system/${unit}.d`;
  await node.do('sh', '-c', `mkdir -p ${folder} && printf '[Service]\\n${setting}\\n' >${folder}/test.conf`);
  await node.do('systemctl', 'daemon-reload');
}

test('the nodes reach each other by WireGuard, and the client reaches their public addresses only', async () => {
  expect((await node.run('ping', '-c', '1', '-W', '5', bed.node(2).wireguardIp)).code).toBe(0);
  expect((await bed.fromClient('ping', '-c', '1', '-W', '5', node.publicIp)).code).toBe(0);
  expect((await bed.fromClient('ping', '-c', '1', '-W', '1', node.wireguardIp)).code).not.toBe(0);
});

test('a TURN server and an SFU are active once they serve, and systemctl status and the journal say what they do', async () => {
  await node.do('systemctl', 'start', TURN, SFU);
  for (const unit of [TURN, SFU]) {
    const seen = await node.show(unit, 'ActiveState', 'NRestarts', 'User');
    expect(seen, unit).toEqual({ ActiveState: 'active', NRestarts: '0', User: 'orama' });
  }
  expect(await node.do('systemctl', 'status', '--no-pager', SFU)).toContain('Status: "ok: 0 rooms, 0 peers"');
  expect((await node.show(TURN, 'StatusText')).StatusText).toBe('ok: 0 namespaces, 0 allocations');
  const journal = await node.do('journalctl', '--no-pager', '-u', SFU);
  expect(journal).toMatch(/ orama-namespace-sfu@demo\[\d+\]: .*"ns":"demo".*"msg":"sfu listening"/);
});

test('the SFU answers on WireGuard, and its unit has no other network', async () => {
  const health = await bed.node(2).do('curl', '-sS', `http://${node.wireguardIp}:${SFU_PORT}/healthz`);
  expect(JSON.parse(health)).toMatchObject({ status: 'ok', namespace: 'demo' });
  const reach = (address: string) =>
    node.run(
      ...['systemd-run', '--quiet', '--wait', '--property=IPAddressDeny=any'],
      ...[`--property=IPAddressAllow=${WIREGUARD_NETWORK}`, 'ping', '-c', '1', '-W', '1', address],
    );
  expect((await reach(bed.node(2).wireguardIp)).code).toBe(0);
  expect((await reach(bed.node(2).publicIp)).code).not.toBe(0);
  const { IPAddressDeny, IPAddressAllow } = await node.show(SFU, 'IPAddressDeny', 'IPAddressAllow');
  expect(IPAddressDeny?.split(' ').sort()).toEqual(['0.0.0.0/0', '::/0']);
  expect(IPAddressAllow).toBe(WIREGUARD_NETWORK);
});

test('an SFU sees its own configuration and secret, and none of another namespace or of the node', async () => {
  await node.do('systemctl', 'start', OTHER_SFU);
  for (const unit of [SFU, OTHER_SFU]) {
    const folder = `${DATA}/configs/${unit.replace('.service', '')}`;
    expect(await node.filesSeenBy(unit, DATA)).toEqual([`${folder}/config.json`, `${folder}/secret`]);
  }
  await node.do('systemctl', 'stop', OTHER_SFU);
});

test('neither a TURN server nor an SFU reads what the node keeps from them, by no way that their user has', async () => {
  // As the store's password is: of their user, for the gateway, and made anew while they run.
  const secret = '/etc/orama/store.credentials';
  node.write(secret, 'a secret of the node');
  const gateway = ['--uid=orama', '--property=PrivateUsers=yes', '--property=PrivateTmp=yes', '--unit=other'];
  await node.do('systemd-run', '--quiet', ...gateway, 'sleep', 'infinity');
  const { MainPID: other } = await node.show('other', 'MainPID');
  for (const unit of [TURN, SFU]) {
    expect(await node.filesSeenBy(unit, '/etc/orama'), unit).toEqual([]);
    const { MainPID: pid } = await node.show(unit, 'MainPID');
    for (const path of [secret, `/proc/${other}/root${secret}`]) {
      const asUnit = ['nsenter', '-t', `${pid}`, '-m', 'setpriv', '--reuid=orama', '--regid=orama', '--clear-groups'];
      const { code, stdout, stderr } = await node.run(...asUnit, 'cat', path);
      expect({ code, stdout }, `${unit} ${path}`).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/Permission denied|No such file/);
    }
  }
  await node.do('systemctl', 'stop', 'other');
});

test('a program that hangs is ended by the watchdog and started again', async () => {
  await node.do('systemctl', 'stop', TURN);
  await dropIn(TURN, 'WatchdogSec=2');
  await node.do('systemctl', 'start', TURN);
  const { MainPID: hung } = await node.show(TURN, 'MainPID');
  await node.do('systemctl', 'kill', '--signal=SIGSTOP', TURN);
  await expect
    .poll(() => node.show(TURN, 'NRestarts', 'ActiveState'))
    .toEqual({ NRestarts: '1', ActiveState: 'active' });
  expect((await node.show(TURN, 'MainPID')).MainPID).not.toBe(hung);
  expect(await node.do('journalctl', '--no-pager', '-u', TURN)).toContain('Watchdog timeout');
});

test('a unit that is stopped drains, and ends with success', async () => {
  for (const unit of [SFU, TURN]) {
    await node.do('systemctl', 'stop', unit);
    expect(await node.show(unit, 'ActiveState', 'Result', 'ExecMainStatus'), unit).toEqual({
      ...{ ActiveState: 'inactive', Result: 'success', ExecMainStatus: '0' },
    });
    const journal = await node.do('journalctl', '--no-pager', '-u', unit, '-n', '20');
    for (const said of ['stopping', 'stopped']) expect(journal, unit).toContain(`"msg":"${said}"`);
  }
});

test('a node that lost its power boots again with its journal', async () => {
  await node.losePower();
  await node.powerOn();
  expect(await node.do('journalctl', '--no-pager', '--boot=-1', '-u', SFU)).toContain('"msg":"stopped"');
});
