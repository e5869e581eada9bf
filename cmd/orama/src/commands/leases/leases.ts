import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples } from '../../options.ts';
import { renderTable } from '../../output/table.ts';

export function leasesCommand(): Command {
  return new Command('leases')
    .description('show which node does what only one node may do')
    .addHelpText('after', examples('orama leases', 'orama leases --json'))
    .action(withContext(showLeases));
}

async function showLeases(context: Context): Promise<void> {
  const leases = await connect(context).leases();
  context.output.result({ leases }, () =>
    renderTable(
      context.output,
      ['lease', 'holder', 'generation', 'since'],
      leases.map(({ name, holder, generation, since }) => [
        name,
        holder ?? context.output.style('yellow', 'nobody'),
        String(generation),
        since,
      ]),
    ),
  );
}
