import type { ControlplaneConfig } from '@orama/protocol';

/** Files that ufw and iptables lock, and make where they may; the controlplane may not. */
export const UFW_LOCKS = ['/run/ufw.lock', '/run/xtables.lock'] as const;

/** Has the files that are locked be there at every boot (tmpfiles.d(5)). Null where none is. */
export function lockFiles({ firewall }: ControlplaneConfig): string | null {
  if (firewall.driver !== 'ufw') return null;
  return ['# Made by "orama node".', ...UFW_LOCKS.map((file) => `f ${file} 0600 root root`), ''].join('\n');
}

/**
 * What has those that a boot starts wait for an interface of ours, as a drop-in; the controlplane starts the others. Null
 * where the interface is somebody else's.
 */
export function startOrder({ wireguard }: ControlplaneConfig): string | null {
  if (!wireguard) return null;
  return ['# Made by "orama node".', '[Unit]', `After=wg-quick@${wireguard.interface}.service`, ''].join('\n');
}

/**
 * What this node's controlplane may do beyond what its unit lets every one do, as a drop-in: to keep WireGuard's peers, or
 * the rules of the firewall. Null where it does neither.
 */
export function controlplaneRights({ wireguard, firewall }: ControlplaneConfig): string | null {
  const lines = [
    ...(wireguard ? [`# The peers of ${wireguard.interface}.`, 'ReadWritePaths=/etc/wireguard'] : []),
    ...(firewall.driver === 'ufw'
      ? [
          '# The rules of ufw, which writes them down.',
          // Without ufw the node runs on all the same, and says what is missing.
          `ReadWritePaths=-/etc/ufw ${UFW_LOCKS.map((file) => `-${file}`).join(' ')}`,
        ]
      : []),
    // Said so that another driver makes another file, and the controlplane is started anew.
    ...(firewall.driver === 'nftables' ? ['# The rules of nftables.'] : []),
  ];
  if (lines.length === 0) return null;
  return ['# Made by "orama node".', '[Service]', 'CapabilityBoundingSet=CAP_NET_ADMIN', ...lines, ''].join('\n');
}
