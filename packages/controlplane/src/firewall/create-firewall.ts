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

/** What keeps the ports of a machine closed. */
export interface FoundFirewall {
  /** What is told which ports a node needs. */
  driver: FirewallConfig['driver'];
  /** What nobody but the operator can open ports in, in words. */
  byHand: string | null;
}

/** Looks for what keeps ports of this machine closed. */
export async function detectFirewall(): Promise<FoundFirewall> {
  // Its rules are those of iptables, which it is the master of.
  if (await Ufw.isActive()) return { driver: 'ufw', byHand: null };
  const { isClosed, byHand } = await Nftables.look();
  return { driver: isClosed ? 'nftables' : 'none', byHand };
}
