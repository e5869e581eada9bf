import { writeFileAtomic } from '@orama/core';
import { namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { apiKeyFile } from '../../dev/layout.ts';
import { examples, schemaOption } from '../../options.ts';
import { renderFields } from '../../output/table.ts';
import { isLocal } from '../../settings.ts';

export function namespaceCreateCommand(): Command {
  return new Command('create')
    .description('create a namespace; its owner API key is shown once')
    .argument('<name>', '1-42 characters a-z, 0-9 and "-"', schemaOption(namespaceNameSchema))
    .addHelpText('after', examples('orama namespace create myapp'))
    .action(withContext(createNamespace));
}

async function createNamespace(context: Context, name: string): Promise<void> {
  const created = await connect(context).createNamespace(name);
  const keptIn = await keepApiKey(context, name, created.apiKey);
  context.output.result({ ...created, ...(keptIn === undefined ? {} : { apiKeyFile: keptIn }) }, () =>
    [
      renderFields([
        ['namespace', created.namespace.name],
        ['API key', created.apiKey],
        ['gateway', created.url],
      ]),
      '',
      keptIn === undefined
        ? 'Save the API key now: only its hash is stored, and it is not shown again.'
        : `The API key is kept in ${keptIn} for this local cluster; elsewhere it would be shown only here.`,
      `next: orama namespace enable webrtc --namespace ${name}`,
    ].join('\n'),
  );
}

/** In a local cluster the key is kept beside the data, so that it can be looked up again; elsewhere never. */
async function keepApiKey(context: Context, name: string, apiKey: string): Promise<string | undefined> {
  if (!isLocal(context.settings)) return undefined;
  const file = apiKeyFile(context.settings.dataDir, name);
  await writeFileAtomic(file, `${apiKey}\n`);
  return file;
}
