import { operatorTokenNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';

export function tokenRevokeCommand(): Command {
  return new Command('revoke')
    .description('end a token: the next call with it is refused')
    .argument('<name>', 'the name of the token', schemaOption(operatorTokenNameSchema))
    .addHelpText('after', examples('orama token revoke anna'))
    .action(withContext(revokeToken));
}

async function revokeToken(context: Context, name: string): Promise<void> {
  await connect(context).revokeOperatorToken(name);
  context.output.result({ revoked: name }, () => `token ${name} is revoked`);
}
