import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SystemdNode } from './node.ts';

/** Where releases are put on a machine. */
export const RELEASES = '/root/releases';

// Copies that useradd makes, and what systemd writes.
const SKIPPED =
  /^(root\/releases|var\/(log|cache|tmp)|var\/lib\/(systemd|dpkg))(\/|$)|^etc\/(.*-|\.pwd\.lock)$|\.updated$/;

/** All that an installation may change on a machine with a /usr of its own: files, users, interfaces, units,
 * processes and the firewall. */
export async function image(machine: SystemdNode): Promise<string> {
  const files = readdirSync(machine.root, { recursive: true }).filter((path) => !SKIPPED.test(String(path)));
  const inUsr = readdirSync(machine.changesOfUsr, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() || entry.isSymbolicLink(),
  );
  const users = ['passwd', 'group'].map((name) => readFileSync(join(machine.root, 'etc', name), 'utf8'));
  const script = [
    'find /run/orama* /run/systemd/system 2>/dev/null',
    "systemctl list-units --all --plain --no-legend --full | grep -o '^[^ ]*\\(orama\\|wg-quick@\\)[^ ]*'",
    'ip -brief link | cut -d " " -f 1',
    'readlink /proc/[0-9]*/exe | grep "/opt/\\|wireguard"',
    'nft list ruleset',
  ];
  const rest = await machine.do('sh', '-c', `${script.join('; ')}; true`);
  return [...files.sort(), ...inUsr.map(({ name }) => name).sort(), ...users, rest].join('\n');
}
