import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DAEMON_RUNTIMES, type Daemon, environmentLines } from '@orama/core';
import { REPOSITORY } from '@orama/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { GATEWAY_DRAIN_MS, STOP_MARGIN_MS } from '../tasks/core-service.ts';
import { SFU_STOP_MS } from '../tasks/sfu-unit.ts';

const UNITS = join(REPOSITORY, 'systemd');
const NODE = '/opt/orama/bin/node';
const RQLITED = 'orama-rqlited.service';
const SERVICES = globSync('*.service', { cwd: UNITS }).sort();
const DAEMON_UNITS: [Daemon, string][] = [
  ['controlplane', 'orama-controlplane.service'],
  ['gateway', 'orama-gateway.service'],
  ['turn', 'orama-turn.service'],
  ['sfu', 'orama-namespace-sfu@.service'],
];

/** The units as they are, but for programs that this machine has. */
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'units-'));
  cpSync(UNITS, dir, { recursive: true });
  for (const name of SERVICES)
    writeFileSync(join(dir, name), unit(name).replaceAll(/\/opt\/orama\/bin\/\w+/g, process.execPath));
});
afterAll(() => rmSync(dir, { recursive: true }));

function unit(name: string): string {
  return readFileSync(join(UNITS, name), 'utf8');
}

/** Every value of a setting, in order. */
function values(name: string, setting: string): string[] {
  return unit(name)
    .split('\n')
    .flatMap((line) => (line.startsWith(`${setting}=`) ? [line.slice(setting.length + 1)] : []));
}

test('systemd-analyze verify has nothing to say about our units', () => {
  const files = globSync('*.{service,slice,target}', { cwd: dir }).map((name) => join(dir, name));
  expect(files).toHaveLength(8);
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
  expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: '' });
});

test.each(SERVICES)('%s is sandboxed to 3.0 at most', (name) => {
  const args = ['security', '--offline=true', '--threshold=30', '--no-pager', join(dir, name)];
  expect(execFileSync('systemd-analyze', args, { encoding: 'utf8' })).toContain('Overall exposure level');
});

test.each(DAEMON_UNITS)('the %s is started by its unit with its options and variables', (daemon, name) => {
  const [command] = values(name, 'ExecStart');
  const program = `/opt/orama/cmd/${daemon}/dist/main.js`;
  const options = DAEMON_RUNTIMES[daemon].nodeOptions.map((option) => `${option} `).join('');
  expect(command?.startsWith(`${NODE} ${options}${program} --config `)).toBe(true);
  expect(values(name, 'Environment')).toEqual(environmentLines(daemon));
});

test('every service of ours tells systemd that it is ready and alive, and is killed only after its time to drain', () => {
  const { turn } = testConfig('/nowhere');
  const stopMs: Record<string, number> = {
    // Longer than what it runs may take.
    'orama-controlplane.service': 20_000,
    'orama-gateway.service': GATEWAY_DRAIN_MS + STOP_MARGIN_MS,
    'orama-turn.service': turn.drainTimeoutMs + STOP_MARGIN_MS,
    'orama-namespace-sfu@.service': SFU_STOP_MS,
  };
  for (const name of SERVICES.filter((each) => each !== RQLITED)) {
    expect(values(name, 'Type'), name).toEqual(['notify']);
    expect(values(name, 'WatchdogSec'), name).toEqual([expect.stringMatching(/^\d+$/)]);
    const [stopSec] = values(name, 'TimeoutStopSec');
    expect(Number(stopSec) * 1000, name).toBe(stopMs[name] ?? 10_000);
  }
});
