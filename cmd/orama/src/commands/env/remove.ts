import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { examples } from '../../options.ts';

export function envRemoveCommand(): Command {
  return new Command('remove')
    .description('forget how a cluster is reached; the cluster itself is not touched')
    .argument('<name>', 'the environment')
    .addHelpText('after', examples('orama env remove devnet'))
    .action(withContext(removeEnvironment));
}

async function removeEnvironment({ settings, output }: Context, name: string): Promise<void> {
  await settings.environments().remove(name);
  output.result({ removed: name }, () => `environment ${name} is forgotten; its token is valid until it is revoked`);
}
