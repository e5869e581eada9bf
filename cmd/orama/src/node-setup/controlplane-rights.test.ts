import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlplaneConfig, controlplaneConfigSchema } from '@orama/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { controlplaneRights, lockFiles, startOrder } from './controlplane-rights.ts';

const UNITS = join(import.meta.dirname, '../../../../systemd');
const UNIT = 'orama-controlplane.service';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rights-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function config(driver: 'none' | 'ufw' | 'nftables', isOurs: boolean): ControlplaneConfig {
  return controlplaneConfigSchema.parse({
    ...{ clusterId: 'test', node: 'node-1', wireguardIp: '10.0.0.1', publicIp: '203.0.113.1' },
    ...{
      wireguardNetwork: '10.0.0.0/24',
      baseDomain: 'orama.test',
      dataDir: '/var/lib/orama',
      clusterKeyFile: '/etc/orama/cluster.key',
    },
    ...{
      store: { driver: 'sqlite', file: '/var/lib/orama/store/store.sqlite' },
      api: {},
      services: { manager: 'systemd' },
    },
    ...{
      gateway: { listen: { address: '127.0.0.1', port: 6080 } },
      dns: { writer: 'file', file: '/var/lib/orama-dns/zone' },
    },
    firewall: { driver },
    ...(isOurs && {
      wireguard: { interface: 'orama0', publicKey: `${'A'.repeat(43)}=`, endpoint: '203.0.113.1:51820' },
    }),
  });
}

test.each([
  ['none', true],
  ['nftables', false],
  ['ufw', true],
] as const)(
  'with the rights for firewall %s and WireGuard %s the controlplane is sandboxed to 3.0 at most',
  (driver, isOurs) => {
    cpSync(UNITS, dir, { recursive: true });
    const unit = join(dir, UNIT);
    writeFileSync(unit, readFileSync(unit, 'utf8').replaceAll('/opt/orama/bin/node', process.execPath));
    const before = exposure(unit);
    mkdirSync(`${unit}.d`);
    writeFileSync(join(`${unit}.d`, '10-wireguard.conf'), startOrder(config(driver, isOurs)) ?? '');
    writeFileSync(join(`${unit}.d`, '20-network.conf'), controlplaneRights(config(driver, isOurs)) ?? '');
    expect(spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })).toMatchObject({
      stdout: '',
      stderr: '',
    });
    const after = exposure(unit);
    // The drop-in counts: it is read.
    expect(after).toBeGreaterThan(before);
    expect(after).toBeLessThanOrEqual(3);
  },
);

test('with another firewall the file is another one, and ufw may be gone', () => {
  const files = (['none', 'nftables', 'ufw'] as const).map((driver) => controlplaneRights(config(driver, true)));
  expect(new Set(files).size).toBe(3);
  expect(files[2]).toMatch(/^ReadWritePaths=-\/etc\/ufw -/m);
});

test('who keeps neither peers nor rules gets no rights', () => {
  expect(controlplaneRights(config('none', false))).toBeNull();
  expect(lockFiles(config('nftables', true))).toBeNull();
  expect(startOrder(config('none', false))).toBeNull();
  expect(lockFiles(config('ufw', true))).toContain('f /run/ufw.lock 0600 root root\n');
});

function exposure(unit: string): number {
  const args = ['security', '--offline=true', '--no-pager', unit];
  const said = execFileSync('systemd-analyze', args, { encoding: 'utf8' });
  return Number(/Overall exposure level for .*: ([\d.]+)/.exec(said)?.[1]);
}
