import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './programs.ts';
import type { Identity } from './tree.ts';

/** Hooks of the package: they call the installer for what both have in common. */
const SCRIPTS = {
  // Units of the installer would hide those of the package for ever.
  preinst: `#!/bin/sh
set -e
[ -e /etc/systemd/system/orama-controlplane.service ] || exit 0
echo "error: Orama WebRTC is here as install.sh installed it" >&2
echo "next: sh /opt/orama/deploy/install.sh uninstall, which keeps data and configuration; then this again" >&2
exit 1
`,
  postinst: `#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
sh /opt/orama/deploy/install.sh prepare
if [ -d /run/systemd/system ]; then sh /opt/orama/deploy/install.sh restart; fi
`,
  prerm: `#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
if [ -f /etc/orama/controlplane.yaml ]; then
  # Its WireGuard interface, firewall rules and place in the cluster would stay, and what takes them away would be gone.
  echo "error: this machine is a node; nothing was changed" >&2
  echo "next: orama node drain <node>, then orama node leave (or orama node leave --force); then this again" >&2
  exit 1
fi
if [ -d /run/systemd/system ]; then sh /opt/orama/deploy/install.sh stop; fi
`,
  // Our files are gone by now, so this stands by itself.
  postrm: `#!/bin/sh
set -e
case $1 in remove | purge) rm -rf /run/orama /run/orama-install.lock /run/systemd/system/orama-*.service.d ;; esac
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
[ "$1" = purge ] || exit 0
rm -rf /etc/orama /var/lib/orama /var/lib/orama-dns /etc/systemd/system/orama-*.service.d
if getent passwd orama >/dev/null; then userdel orama; fi
`,
};

/** Makes a Debian package of a release's tree. */
export function makeDeb(
  tree: string,
  { version, build }: Identity,
  file: string,
  { epoch, level }: { epoch: string; level: number },
): void {
  const root = `${tree}.deb`;
  rmSync(root, { recursive: true, force: true });
  const folder = `orama-${version}-${build}`;
  for (const path of ['DEBIAN', 'opt', 'usr/bin', 'lib/systemd/system', 'usr/share/doc/orama-webrtc'])
    mkdirSync(join(root, path), { recursive: true });
  cpSync(tree, join(root, 'opt', folder), { recursive: true, verbatimSymlinks: true });
  symlinkSync(folder, join(root, 'opt/orama'));
  symlinkSync('/opt/orama/bin/orama', join(root, 'usr/bin/orama'));
  for (const name of readdirSync(join(tree, 'systemd'))) {
    if (name !== 'README.md')
      cpSync(join(tree, 'systemd', name), join(root, 'lib/systemd/system', name), { recursive: true });
  }
  cpSync(join(tree, 'LICENSE'), join(root, 'usr/share/doc/orama-webrtc/copyright'));
  const control = [
    'Package: orama-webrtc',
    `Version: ${version}`,
    'Architecture: amd64',
    'Maintainer: Orama WebRTC <orama@localhost>',
    'Section: net',
    'Priority: optional',
    'Depends: libc6 (>= 2.34), libstdc++6, systemd (>= 252), wireguard-tools, iproute2',
    'Recommends: nftables | ufw',
    'Suggests: caddy, wireguard-go',
    'Description: TURN, SFU and signalling for a few servers joined by WireGuard',
    ' A self-hosted back end for voice and video calls of many tenants. It carries its own',
    ' Node and rqlited. After the installation: orama node init, or orama node join.',
    '',
  ];
  writeFileSync(join(root, 'DEBIAN/control'), control.join('\n'), { mode: 0o644 });
  for (const [name, text] of Object.entries(SCRIPTS)) writeFileSync(join(root, 'DEBIAN', name), text, { mode: 0o755 });
  run('chmod', ['-R', 'u=rwX,go=rX', root], { cwd: root });
  run('dpkg-deb', ['--root-owner-group', '-Zgzip', `-z${level}`, '--build', root, file], {
    cwd: root,
    environment: { SOURCE_DATE_EPOCH: epoch },
  });
  rmSync(root, { recursive: true });
}
