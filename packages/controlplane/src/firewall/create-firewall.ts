import type { FirewallConfig } from '@orama/protocol';
import { type Firewall, TAG_PREFIX } from './firewall.ts';
import { Nftables } from './nftables.ts';
import { Ufw } from './ufw.ts';

const FIREWALLS = { ufw: () => new Ufw(), nftables: () => new Nftables() };
const DRIVERS = ['ufw', 'nftables'] as const;

/** Null where the operator keeps the firewall. */
export function createFirewall({ driver }: FirewallConfig): Firewall | null {
  return driver === 'none' ? null : FIREWALLS[driver]();
}

/** Throws what has to be mended before a firewall can be told which ports are to be open, such as a program that is missing. */
export async function requireFirewall(config: FirewallConfig): Promise<void> {
  // Some hindrances matter only to who has a rule.
  await createFirewall(config)?.compare([{ tag: `${TAG_PREFIX}any`, action: 'allow' }]);
}

/** Takes every rule of ours away. */
export async function clearFirewall(firewall: Firewall): Promise<void> {
  await firewall.remove((await firewall.compare([])).remove);
}

/** Takes away what an earlier configuration left in the firewalls that this one has nothing told. */
export async function clearOtherFirewalls({ driver }: FirewallConfig): Promise<void> {
  for (const firewall of DRIVERS.filter((each) => each !== driver).map((each) => FIREWALLS[each]())) {
    // One that cannot be looked at is mostly not installed.
    const { remove } = await firewall.compare([]).catch(() => ({ remove: [] }));
    if (remove.length > 0) await firewall.remove(remove);
  }
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
