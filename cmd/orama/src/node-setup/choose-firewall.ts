import { detectFirewall, type FoundFirewall, requireFirewall } from '@orama/controlplane/firewall';
import { describeError, OramaError, UserError } from '@orama/core';
import type { FirewallConfig } from '@orama/protocol';
import type { Progress } from '../output/progress.ts';

export type FirewallOption = FirewallConfig['driver'] | 'auto';

/** Who opens the node's ports. Says so where nobody would, though they are closed; throws where who is named cannot. */
export async function chooseFirewall(option: FirewallOption, progress: Progress): Promise<FirewallConfig> {
  if (option !== 'auto' && option !== 'none') return named(option);
  const found = await detectFirewall();
  for (const line of describeFound(option, found)) progress.step(line);
  return { driver: option === 'auto' ? found.driver : 'none' };
}

async function named(driver: FirewallConfig['driver']): Promise<FirewallConfig> {
  try {
    await requireFirewall({ driver });
    return { driver };
  } catch (cause) {
    const hint = cause instanceof OramaError ? cause.hint : undefined;
    throw new UserError('PRECONDITION_FAILED', `--firewall ${driver}: ${describeError(cause)}`, {
      cause,
      hint: `${hint ?? 'mend that'}; then run the same command again`,
    });
  }
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
