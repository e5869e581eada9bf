import { detectFirewall } from '@orama/controlplane/firewall';
import type { FirewallConfig } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';

export type FirewallOption = FirewallConfig['driver'] | 'auto';

/** Who opens the node's ports. Says so where nobody would, though they are closed. */
export async function chooseFirewall(option: FirewallOption, progress: Progress): Promise<FirewallConfig> {
  if (option !== 'auto' && option !== 'none') return { driver: option };
  const there = await detectFirewall();
  if (option === 'auto') {
    progress.step(there === 'none' ? 'no firewall keeps ports closed' : `${there} is told which ports the node needs`);
    return { driver: there };
  }
  if (there !== 'none')
    progress.step(
      `${there} keeps ports closed: open those of docs/operations.md in it, or have that done by --firewall auto`,
    );
  return { driver: 'none' };
}
