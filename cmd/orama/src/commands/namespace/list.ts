import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples } from '../../options.ts';
import { renderTable } from '../../output/table.ts';

export function namespaceListCommand(): Command {
  return new Command('list')
    .description('list the namespaces')
    .addHelpText('after', examples('orama namespace list', 'orama namespace list --json'))
    .action(withContext(listNamespaces));
}

async function listNamespaces(context: Context): Promise<void> {
  const namespaces = await connect(context).namespaces();
  context.output.result({ namespaces }, () =>
    namespaces.length === 0
      ? 'there is no namespace yet; create one with "orama namespace create <name>"'
      : renderTable(
          context.output,
          ['namespace', 'WebRTC', 'owner', 'created'],
          namespaces.map(({ name, webrtc, owner, createdAt }) => [name, webrtc, owner, createdAt]),
        ),
  );
}
