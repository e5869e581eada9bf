import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { REPOSITORY } from '@orama/testkit';

/** What a node's own /etc begins with. */
const ETC = [
  ...['passwd', 'group', 'shadow', 'nsswitch.conf', 'login.defs', 'pam.d', 'security', 'dbus-1', 'ssl'],
  ...['ufw', 'default/ufw'],
  ...['ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'alternatives'],
];
const ORAMA_ID = 990;
/** Where a node keeps what is ours. */
export const DATA = '/var/lib/orama';

/** Built by deploy/dev/rqlited.sh; nodes have it where this checkout has. */
const RQLITED = join(REPOSITORY, '.orama/rqlited/rqlited');

/** Folders of this checkout and what they are in an installation; the programs must be built. */
export const PROGRAMS: readonly [from: string, to: string][] = [
  ...['cmd', 'packages', 'node_modules'].map((name): [string, string] => [
    join(REPOSITORY, name),
    `/opt/orama/${name}`,
  ]),
  [process.execPath, '/opt/orama/bin/node'],
  ...(existsSync(RQLITED) ? [[realpathSync(RQLITED), '/opt/orama/bin/rqlited'] as [string, string]] : []),
];

/** Makes the root of a machine, which shares /usr with this one: little more than /etc. */
export function makeRoot(root: string, name: string): void {
  for (const folder of ['etc/systemd/system', 'etc/wireguard', 'opt', 'root', 'usr', 'var/log/journal'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const link of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(root, link));
  for (const entry of ETC) {
    const from = join('/etc', entry);
    if (existsSync(from)) cpSync(from, join(root, 'etc', entry), { recursive: true, verbatimSymlinks: true });
  }
  // A link into /usr would not do: systemd-nspawn looks for it before /usr is there.
  cpSync('/usr/lib/os-release', join(root, 'etc/os-release'));
  for (const empty of ['fstab', 'machine-id']) writeFileSync(join(root, 'etc', empty), '');
  writeFileSync(join(root, 'etc/hostname'), `${name}\n`);
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
}

/** Puts what is ours there as an installation does: our units, the user orama, folders. */
export function installInto(root: string): void {
  for (const folder of ['etc/orama', 'opt/orama']) mkdirSync(join(root, folder), { recursive: true });
  cpSync(join(REPOSITORY, 'systemd'), join(root, 'etc/systemd/system'), { recursive: true });
  appendFileSync(join(root, 'etc/passwd'), `orama:x:${ORAMA_ID}:${ORAMA_ID}::${DATA}:/usr/sbin/nologin\n`);
  appendFileSync(join(root, 'etc/group'), `orama:x:${ORAMA_ID}:\n`);
  for (const folder of ['', 'configs', 'run', 'store', 'rqlite']) {
    const path = join(root, DATA, folder);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chownSync(path, ORAMA_ID, ORAMA_ID);
  }
}

/** Writes a file of the user orama into a node's root. */
export function writeOwned(root: string, path: string, content: string, mode: number): void {
  const file = join(root, path);
  const folder = dirname(file);
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) chownSync(folder, ORAMA_ID, ORAMA_ID);
  writeFileSync(file, content, { mode });
  chownSync(file, ORAMA_ID, ORAMA_ID);
}
