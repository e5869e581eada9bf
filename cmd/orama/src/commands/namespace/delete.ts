import { rmSync } from 'node:fs';
import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { apiKeyFile } from '../../dev/layout.ts';
import { examples, schemaOption } from '../../options.ts';
import { isLocal } from '../../settings.ts';

export function namespaceDeleteCommand(): Command {
  return new Command('delete')
    .description('delete a namespace with its keys and its usage; WebRTC must be disabled before')
    .argument('<name>', 'the namespace', schemaOption(namespaceNameSchema))
    .addHelpText('after', examples('orama namespace delete myapp'))
    .action(withContext(deleteNamespace));
}

async function deleteNamespace(context: Context, name: string): Promise<void> {
  await connect(context).deleteNamespace(name);
  if (isLocal(context.settings)) rmSync(apiKeyFile(context.settings.dataDir, name), { force: true });
  context.output.result({ deleted: name }, () => `namespace ${name} is deleted`);
}
