import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Bed } from './bed/bed.ts';
import { image, RELEASES } from './bed/image.ts';
import type { SystemdNode } from './bed/node.ts';
import { BUILD_TIMEOUT_MS, buildRelease } from './bed/release.ts';

const INSTALL = ['sh', `${RELEASES}/install.sh`];
const INIT = ['init', '--base-domain', 'orama.test', '--dns', 'file'];
const CONTROLPLANE = 'orama-controlplane.service';
const RUNNING = [CONTROLPLANE, 'orama-gateway.service', 'orama-rqlited.service', 'orama-turn.service'];
const NAMESPACE = ['orama-namespace-sfu@demo.service', 'orama-namespace-turn@demo.service'];

const built = inject('release');
let bed: Bed;
let node: SystemdNode;
let before: string;
beforeAll(async () => {
  bed = await Bed.start({ bare: true, installed: false });
  node = bed.node(1);
  cpSync(built, join(node.root, RELEASES), { recursive: true });
  before = await image(node);
});
afterAll(() => bed?.close());

const release = async () => (await node.do('readlink', '/opt/orama')).trim();
const orama = (...args: string[]) => node.do('orama', '--json', ...args);
const runs = async (...units: string[]) =>
  (await node.do('systemctl', 'show', '--property=InvocationID', '--value', ...units)).split('\n').filter(Boolean);
const active = async (...units: string[]) =>
  (await node.run('systemctl', 'is-active', ...units)).stdout.trim().split('\n');
const waitFor = (units: string[]) => expect.poll(() => active(...units)).toEqual(units.map(() => 'active'));

/** The release that is installed, as another version with a change; its folder on the node. */
async function makeVersion(version: string, change: string): Promise<string> {
  const folder = `${RELEASES}/${version}`;
  await node.do(
    'sh',
    '-c',
    `cp -a /opt/orama/. ${folder}-tree && mv ${folder}-tree ${folder} && cd ${folder} && ${change}`,
  );
  await node.do(
    'sed',
    '-i',
    `s/^ORAMA_VERSION=.*/ORAMA_VERSION=${version}/; s/^ORAMA_BUILD=.*/ORAMA_BUILD=00${version.replaceAll('.', '')}/`,
    `${folder}/RELEASE`,
  );
  return folder;
}

test('the same sources give the same release', { timeout: BUILD_TIMEOUT_MS }, async () => {
  const again = mkdtempSync(join(tmpdir(), 'orama-release-'));
  try {
    await buildRelease(again);
    const sums = (folder: string) => readFileSync(join(folder, 'SHA256SUMS'), 'utf8');
    expect(sums(again)).toBe(sums(built));
    expect(sums(built)).toMatch(/^[0-9a-f]{64} {2}orama-webrtc-[\d.]+-linux-x64\.tar\.gz$/m);
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
});

test('a bare machine is a node after one command, with Node, rqlited and all packages from the release', async () => {
  await node.do('mkdir', '-p', '/opt/.orama-new.1/half');
  await node.do(...INSTALL, 'install', ...INIT);
  await waitFor(RUNNING);
  expect(await node.do('ls', '-A', '/opt')).toBe(`orama\n${await release()}\n`);
  await orama('namespace', 'create', 'demo');
  await orama('namespace', 'enable', 'webrtc', '--namespace', 'demo', '--allow-degraded');
  await waitFor([...RUNNING, ...NAMESPACE]);
  // Some end while they are looked at.
  const programs = await node.run('sh', '-c', 'readlink /proc/[0-9]*/exe');
  const ours = programs.stdout.split('\n').filter((path) => /\/(node|rqlited)$/.test(path));
  expect(new Set(ours)).toEqual(
    new Set(['node', 'rqlited'].map((name) => `/opt/${ours[0]?.split('/')[2]}/bin/${name}`)),
  );
  expect(await node.do('sh', '-c', 'ls -d /opt/orama/node_modules/.pnpm/*')).not.toMatch(
    /typescript|vitest|biome|playwright|knip|vite@/,
  );
  expect(await node.do('find', '/opt/orama/', '-name', '*.ts', '-o', '-name', '*.test.js', '-o', '-name', '.bin')).toBe(
    '',
  );
});

test('with --dns file a DNS server that runs as another user reads the zone', async () => {
  const read = () => node.run('setpriv', '--reuid=nobody', '--clear-groups', 'cat', '/var/lib/orama-dns/zone');
  await expect.poll(async () => (await read()).stdout).toContain('ns-demo.orama.test. 60 IN A ');
});

test('an installation that is run again changes nothing', async () => {
  const earlier = await runs(...RUNNING, ...NAMESPACE);
  await node.do(...INSTALL, 'install', ...INIT);
  expect(await runs(...RUNNING, ...NAMESPACE)).toEqual(earlier);
});

test('an upgrade starts again what is different, and cuts no calls of what is not', async () => {
  const [sfu = '', tenant = ''] = NAMESPACE;
  const kept = ['orama-rqlited.service', 'orama-turn.service', sfu];
  const changed = ['orama-gateway.service', tenant];
  const [keptRuns, changedRuns] = [await runs(...kept), await runs(...changed)];
  const folder = await makeVersion(
    '9.0.1',
    'echo "// new" | tee -a cmd/gateway/dist/main.js cmd/orama/dist/main.js >/dev/null',
  );
  // One that was cut off before anything was started again goes on.
  const earlier = await release();
  await node.do(
    'sh',
    '-c',
    `cp -a ${folder} /opt/orama-9.0.1-00901 && ln -sfn orama-9.0.1-00901 /opt/orama && echo ${earlier} >/opt/.orama-upgrading`,
  );
  await node.do('sh', `${folder}/deploy/install.sh`, 'upgrade');
  await waitFor([...RUNNING, ...NAMESPACE]);
  expect(await release()).toBe('orama-9.0.1-00901');
  expect(await runs(...kept)).toEqual(keptRuns);
  for (const run of await runs(...changed)) expect(changedRuns).not.toContain(run);
  expect(await node.do('journalctl', '--no-pager', '-u', tenant)).not.toContain('"msg":"detached"');
  expect(await node.do('ls', '-A', '/opt')).toBe(['orama', earlier, 'orama-9.0.1-00901'].sort().concat('').join('\n'));
});

test('an upgrade to a release that does not become ready goes back, and says so', async () => {
  const folder = await makeVersion('9.0.2', 'echo "process.exit(1)" >cmd/controlplane/dist/main.js');
  const { code, stderr } = await node.run('sh', `${folder}/deploy/install.sh`, 'upgrade');
  expect(code).toBe(1);
  expect(stderr).toContain('this is orama-9.0.1-00901 again, which runs again');
  expect(await release()).toBe('orama-9.0.1-00901');
  await waitFor([...RUNNING, ...NAMESPACE]);
});

test('uninstall keeps data and configuration, with which the next installation goes on', async () => {
  await node.do('sh', '/opt/orama/deploy/install.sh', 'uninstall');
  expect(await node.do('ls', '-A', '/opt')).toBe('');
  expect(await node.do('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'orama-*.service')).toBe('');
  expect((await node.run(...INSTALL, 'uninstall', '--purge')).stderr).toContain('this machine is a node still');
  await node.do(...INSTALL, 'install');
  await waitFor([...RUNNING, ...NAMESPACE]);
});

test('another release is refused over the one that is there, and nothing of it stays', async () => {
  const { stderr } = await node.run('sh', `${RELEASES}/9.0.1/deploy/install.sh`, 'install');
  expect(stderr).toContain(`error: ${await release()} is installed here`);
  expect(await node.do('ls', '-A', '/opt')).toBe(`orama\n${await release()}\n`);
});

test('uninstall --purge leaves the machine as it was, once its cluster may end, and may be run again', async () => {
  const purge = ['sh', '/opt/orama/deploy/install.sh', 'uninstall', '--purge'];
  const refusal = await node.run(...purge);
  expect(refusal).toMatchObject({ code: 1 });
  expect(refusal.stderr).toContain('the cluster and all it keeps would be gone');
  expect(await active(...RUNNING, ...NAMESPACE)).not.toContain('inactive');
  // With a configuration that nobody can read, it goes by what it finds.
  await node.do('sh', '-c', 'echo "what: ever" >>/etc/orama/controlplane.yaml');
  const forced = await node.run(...purge, '--force');
  expect(forced.stderr).toMatch(
    /what is found goes.*controlplane.yaml cannot be used:\s+\(whole\): Unrecognized key: "what"/,
  );
  expect(forced.stderr).toContain('orama node remove n1 --force');
  expect(await image(node)).toBe(before);
  await node.do(...INSTALL, 'uninstall', '--purge');
  expect(await image(node)).toBe(before);
});

test('what cannot work is refused with what to do', async () => {
  const refused = async (...args: string[]) => (await node.run(...args)).stderr;
  expect(await refused(...INSTALL, 'upgrade')).toContain('nothing is installed here');
  expect(await refused(...INSTALL, 'install', '--tarball', '/root/none.tar.gz')).toContain(
    'there is no /root/none.tar.gz',
  );
  expect(await refused(...INSTALL, 'install', '--purge')).toContain('--purge belongs to uninstall');
  expect(await refused(...INSTALL, 'uninstall', '--force')).toContain('--force belongs to uninstall --purge');
  await node.do(
    'sh',
    '-c',
    `mkdir /root/bad && head -c 1000 ${RELEASES}/*.tar.gz >/root/bad/orama-webrtc-1-linux-x64.tar.gz`,
  );
  expect(await refused(...INSTALL, 'install', '--tarball', '/root/bad/orama-webrtc-1-linux-x64.tar.gz')).toContain(
    'cannot be unpacked',
  );
  await node.do('ln', '-s', '/usr/bin/true', '/usr/local/bin/orama');
  expect(await refused(...INSTALL, 'install')).toContain('/usr/local/bin/orama is there and is none of ours');
  expect(await node.do('readlink', '/usr/local/bin/orama')).toBe('/usr/bin/true\n');
  await node.do('rm', '/usr/local/bin/orama');
  for (const command of ['prepare', 'restart', 'stop'])
    expect(await refused('setpriv', '--reuid=nobody', '--clear-groups', ...INSTALL, command)).toContain('needs root');
  expect(await node.do('sh', '-c', 'ls -A /opt')).toBe('');
});

/** The package that is installed, as another version; the file on the node. */
async function nextPackage(machine: SystemdNode): Promise<string> {
  const steps = [
    `mkdir -p /root/next/opt /root/next/usr/bin /root/next/lib/systemd && cd /root/next`,
    // Links, as all but one file stay what they are; sed makes another of that.
    'cp -al "$(readlink -f /opt/orama)" opt/orama-9.0.1-00901 && ln -s orama-9.0.1-00901 opt/orama',
    'ln -s /opt/orama/bin/orama usr/bin/orama && cp -a opt/orama/systemd lib/systemd/system',
    "sed -i 's/^ORAMA_VERSION=.*/ORAMA_VERSION=9.0.1/; s/^ORAMA_BUILD=.*/ORAMA_BUILD=00901/' opt/orama-9.0.1-00901/RELEASE",
    `dpkg-deb --control ${RELEASES}/*.deb && sed -i 's/^Version:.*/Version: 9.0.1/' DEBIAN/control`,
    'rm lib/systemd/system/README.md && dpkg-deb -Znone --build . /root/next.deb',
  ];
  await machine.do('sh', '-c', steps.join(' && '));
  return '/root/next.deb';
}

test('the Debian package installs, upgrades a node that runs, and purging it leaves nothing, which a node has to leave before', async () => {
  const other = bed.node(2);
  mkdirSync(join(other.root, 'var/lib/dpkg/updates'), { recursive: true });
  mkdirSync(join(other.root, 'var/lib/dpkg/info'));
  cpSync('/var/lib/dpkg/status', join(other.root, 'var/lib/dpkg/status'));
  cpSync(built, join(other.root, RELEASES), { recursive: true });
  const empty = await image(other);
  const installPackage = () => other.run('sh', '-c', `dpkg --install ${RELEASES}/*.deb`);
  other.write('/etc/systemd/system/orama-controlplane.service', '');
  expect((await installPackage()).stderr).toContain('next: sh /opt/orama/deploy/install.sh uninstall');
  await other.do('rm', '/etc/systemd/system/orama-controlplane.service');
  expect((await installPackage()).code).toBe(0);
  await other.do('orama', 'node', ...INIT);
  const allRun = async () => (await other.run('systemctl', 'is-active', ...RUNNING, ...NAMESPACE)).code;
  await other.do('orama', 'namespace', 'create', 'demo');
  await other.do('orama', 'namespace', 'enable', 'webrtc', '--namespace', 'demo', '--allow-degraded');
  await expect.poll(allRun).toBe(0);
  await other.do('dpkg', '--force-unsafe-io', '--install', await nextPackage(other));
  expect(await other.do('ls', '/opt')).toBe('orama\norama-9.0.1-00901\n');
  const programs = 'readlink $(systemctl show --property=MainPID --value "$@" | sed -n "s|..*|/proc/&/exe|p")';
  const ran = async () => (await other.run('sh', '-c', programs, 'sh', ...RUNNING, ...NAMESPACE)).stdout.split('\n');
  const inNew = RUNNING.concat(NAMESPACE).map((unit) => (unit === 'orama-rqlited.service' ? 'rqlited' : 'node'));
  await expect.poll(ran).toEqual([...inNew.map((name) => `/opt/orama-9.0.1-00901/bin/${name}`), '']);
  await expect.poll(allRun).toBe(0);
  const purged = await other.run('dpkg', '--purge', 'orama-webrtc');
  expect(purged).toMatchObject({ code: 1, stderr: expect.stringContaining('then orama node leave') });
  expect(await allRun()).toBe(0);
  await other.do('orama', 'node', 'leave', '--force');
  await other.do('dpkg', '--purge', 'orama-webrtc');
  // A folder that another package has as well, on a real machine.
  await other.do('sh', '-c', 'mkdir -p /opt; rm -r /root/next /root/next.deb');
  expect(await image(other)).toBe(empty);
});
