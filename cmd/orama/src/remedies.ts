import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { INSTALL_DIR } from '@orama/core';
import { PATHS } from './node-setup/paths.ts';

/** Where a command runs: what mends something on a node is nothing that a developer's machine has. */
interface Place {
  /** Whether this machine is a node of a cluster. */
  isNode: boolean;
  /** Whether the programs are those of a release, and not of a checkout. */
  isRelease: boolean;
}

/** Where this program runs. */
export function thisPlace(): Place {
  return { isNode: existsSync(PATHS.config), isRelease: existsSync(join(INSTALL_DIR, 'RELEASE')) };
}

/** What makes a controlplane answer. */
export function startCluster({ isNode }: Place): string {
  return isNode
    ? 'on the node: systemctl start orama.target; why it does not run: journalctl -u orama-controlplane -n 20'
    : 'start the cluster (orama dev start --detach), or check the address of the controlplane';
}

/** What makes a gateway answer. */
export function startGateway({ isNode }: Place): string {
  return isNode
    ? 'on the nodes: systemctl status orama-gateway caddy; another gateway is named with --gateway <url>'
    : 'start the cluster (orama dev start --detach), or name the gateway with --gateway <url>';
}

/** Where a service of ours says why it does not run. @param service `turn`, `sfu`, or with its node, `turn of node-1` */
export function logOf({ isNode }: Place, service: string): string {
  const unit = { sfu: 'namespace-sfu@*', nameserver: 'controlplane' }[service] ?? service;
  return isNode ? `journalctl -u 'orama-${unit}' -n 20` : 'orama dev logs';
}

/** What puts back programs and packages that are broken. */
export function reinstall({ isRelease }: Place): string {
  return isRelease
    ? 'put the release there again, with its node down meanwhile: sh install.sh uninstall, then sh install.sh install; of a Debian package: apt-get install --reinstall <its .deb>'
    : 'install the packages anew for this machine: rm -r node_modules, then npx -y pnpm@12 install; they need Linux with glibc on x64 or arm64';
}
