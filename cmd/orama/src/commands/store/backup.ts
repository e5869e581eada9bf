import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { examples } from '../../options.ts';
import { chosenStore, configOption, reaching } from './config-option.ts';

export function storeBackupCommand(): Command {
  return new Command('backup')
    .description('copy the store into a file, while the cluster works; keep the cluster key with it')
    .argument('<file>', 'file to write, with mode 0600; must not exist')
    .addOption(configOption())
    .addHelpText(
      'after',
      examples(
        'orama store backup store.backup',
        'orama store backup store.backup --config /etc/orama/controlplane.yaml',
      ),
    )
    .action(onThisMachine(backup));
}

async function backup({ settings, output }: Context, file: string, options: { config?: string }): Promise<void> {
  // The engines of the store are loaded by the commands about it only.
  const { backupStore } = await import('@orama/store');
  const progress = await output.progress('copying the store');
  try {
    const report = await reaching(backupStore(await chosenStore(settings, options.config), file));
    progress.stop();
    output.result(report, () => {
      const { namespaces, nodes, schemaVersion, bytes } = report;
      return `${report.file}: ${namespaces} namespaces and ${nodes} nodes, schema ${schemaVersion}, ${bytes} bytes\nits secrets are of use only with the cluster key, which is not in it: keep that too`;
    });
  } finally {
    progress.stop();
  }
}
