import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { examples } from '../../options.ts';
import { chosenStore, configOption, reaching } from './config-option.ts';

interface RestoreOptions {
  config?: string;
  replace?: true;
  inUse?: true;
}

export function storeRestoreCommand(): Command {
  return new Command('restore')
    .description('make the store what a backup holds, all of it or nothing')
    .argument('<file>', 'file that "orama store backup" wrote')
    .option('--replace', 'lose what the store holds now')
    .option('--in-use', 'under controlplanes and gateways that run')
    .addOption(configOption())
    .addHelpText('after', examples('orama store restore store.backup', 'orama store restore store.backup --replace'))
    .action(onThisMachine(restore));
}

async function restore({ settings, output }: Context, file: string, options: RestoreOptions): Promise<void> {
  // The engines of the store are loaded by the commands about it only.
  const { restoreStore } = await import('@orama/store');
  const progress = await output.progress('looking at the store');
  try {
    const { replace = false, inUse = false } = options;
    const content = await reaching(
      restoreStore(await chosenStore(settings, options.config), file, {
        replace,
        inUse,
        onWatch: () => progress.update('watching whether the store is in use'),
      }),
    );
    progress.stop();
    output.result(
      content,
      () => `restored: ${content.namespaces} namespaces and ${content.nodes} nodes, schema ${content.schemaVersion}`,
    );
  } finally {
    progress.stop();
  }
}
