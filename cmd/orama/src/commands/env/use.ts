import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { LOCAL_ENVIRONMENT } from '../../environments/environment.ts';
import { examples } from '../../options.ts';

export function envUseCommand(): Command {
  return new Command('use')
    .description('choose the cluster that is meant where --env is not given')
    .argument('<name>', `an environment, or "${LOCAL_ENVIRONMENT}" for the cluster of this machine`)
    .addHelpText('after', examples('orama env use devnet', `orama env use ${LOCAL_ENVIRONMENT}`))
    .action(withContext(useEnvironment));
}

async function useEnvironment({ settings, output }: Context, name: string): Promise<void> {
  const file = settings.environments();
  if (name !== LOCAL_ENVIRONMENT) file.get(name);
  await file.use(name === LOCAL_ENVIRONMENT ? undefined : name);
  output.result({ current: name }, () => `commands are about ${name} now, unless --env says otherwise`);
}
