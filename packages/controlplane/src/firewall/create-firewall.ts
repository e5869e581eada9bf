import type { FirewallConfig } from '@orama/protocol';
import type { Firewall } from './firewall.ts';
import { Nftables } from './nftables.ts';
import { Ufw } from './ufw.ts';

/** Null where the operator keeps the firewall. */
export function createFirewall({ driver }: FirewallConfig): Firewall | null {
  if (driver === 'none') return null;
  return driver === 'ufw' ? new Ufw() : new Nftables();
}

/** Takes every rule of ours away. */
export async function clearFirewall(firewall: Firewall): Promise<void> {
  for (const tag of (await firewall.compare([])).remove) await firewall.remove(tag);
}

/** Which firewall of this machine keeps ports closed. */
export async function detectFirewall(): Promise<FirewallConfig['driver']> {
  if (await Ufw.isActive()) return 'ufw';
  return (await Nftables.isClosed()) ? 'nftables' : 'none';
}
