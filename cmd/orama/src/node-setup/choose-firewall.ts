import { detectFirewall, type FoundFirewall } from '@orama/controlplane/firewall';
import type { FirewallConfig } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';

export type FirewallOption = FirewallConfig['driver'] | 'auto';

/** Who opens the node's ports. Says so where nobody would, though they are closed. */
export async function chooseFirewall(option: FirewallOption, progress: Progress): Promise<FirewallConfig> {
  if (option !== 'auto' && option !== 'none') return { driver: option };
  const found = await detectFirewall();
  for (const line of describeFound(option, found)) progress.step(line);
  return { driver: option === 'auto' ? found.driver : 'none' };
}

/** What an operator is told of what was found. */
export function describeFound(option: 'auto' | 'none', { driver, byHand }: FoundFirewall): string[] {
  const lines = [];
  if (driver !== 'none') {
    const open = `${driver} keeps ports closed: open those of docs/operations.md in it, or have that done by --firewall auto`;
    lines.push(option === 'auto' ? `${driver} is told which ports the node needs` : open);
  }
  if (byHand !== null) lines.push(`${byHand} keeps ports closed: open those of docs/operations.md there yourself`);
  if (option === 'auto' && lines.length === 0) lines.push('no firewall was found that keeps ports closed');
  return lines;
}
