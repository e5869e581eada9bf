import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples } from '../../options.ts';
import { renderTable } from '../../output/table.ts';

export function tokenListCommand(): Command {
  return new Command('list')
    .description('show the tokens of operators, not their secrets')
    .addHelpText('after', examples('orama token list', 'orama token list --json'))
    .action(withContext(listTokens));
}

async function listTokens(context: Context): Promise<void> {
  const tokens = await connect(context).operatorTokens();
  const { output } = context;
  output.result({ tokens }, () => {
    if (tokens.length === 0) return 'there is no token; orama token create <name> makes one';
    const rows = tokens.map(({ name, scope, expiresAt, expired, createdBy, createdAt }) => [
      name,
      scope,
      expired ? output.style('red', `expired ${expiresAt}`) : expiresAt,
      createdBy,
      createdAt,
    ]);
    return renderTable(output, ['name', 'scope', 'expires', 'made by', 'made'], rows);
  });
}
