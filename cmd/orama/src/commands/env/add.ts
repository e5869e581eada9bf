import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { readSecretFile, UserError } from '@orama/core';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { environmentNameSchema, gatewayUrlSchema } from '../../environments/environment.ts';
import { examples, schemaOption } from '../../options.ts';

interface AddOptions {
  url?: string;
  tokenFile?: string;
  caFile?: string;
  force?: boolean;
}

export function envAddCommand(): Command {
  return new Command('add')
    .description('note down how a cluster is reached: from outside with a token, or on a node with the cluster key')
    .argument('<name>', 'what --env will call it', schemaOption(environmentNameSchema))
    .option('--url <url>', 'gateway of a node that serves operators', schemaOption(gatewayUrlSchema))
    .option('--token-file <file>', 'file with a token of "orama token create"; - reads it from stdin')
    .option('--ca-file <file>', 'certificate of the authority of the gateway, where it is your own')
    .option('--force', 'replace the one that has that name; with the same url its apiKeys and caFile stay')
    .addHelpText(
      'after',
      examples(
        'orama env add devnet --url https://api.example.com --token-file - < token',
        'orama env add here --api http://127.0.0.1:6001 --cluster-key-file /etc/orama/cluster.key',
      ),
    )
    .action(withContext(addEnvironment));
}

async function addEnvironment(context: Context, name: string, options: AddOptions): Promise<void> {
  const { url, tokenFile, caFile, force = false } = options;
  const { api, clusterKeyFile } = context.settings.named;
  const file = context.settings.environments();
  if (Object.hasOwn(file.environments, name) && !force) {
    throw new UserError('CONFLICT', `there is an environment "${name}" already; nothing was changed`, {
      hint: 'choose another name, or replace it with --force',
    });
  }
  if ((url === undefined) === (api === undefined) || (url === undefined) !== (tokenFile === undefined)) {
    throw new UserError('INVALID_REQUEST', 'give --url and --token-file, or --api and --cluster-key-file');
  }
  const before = file.environments[name];
  // Keys are for the gateway that they were noted down for, and no other.
  const kept = before?.url !== undefined && before.url === url ? before : undefined;
  await file.set(name, {
    ...(kept?.caFile !== undefined && { caFile: kept.caFile }),
    ...(kept && Object.keys(kept.apiKeys).length > 0 && { apiKeys: kept.apiKeys }),
    ...(url !== undefined && { url }),
    ...(tokenFile !== undefined && { token: readToken(tokenFile) }),
    ...(caFile !== undefined && { caFile: resolve(caFile) }),
    ...(api !== undefined && { api }),
    ...(clusterKeyFile !== undefined && { clusterKeyFile: resolve(clusterKeyFile) }),
  });
  context.output.result(
    { added: name, file: file.path },
    () => `environment ${name} is in ${file.path}\nnext: orama --env ${name} node list, or orama env use ${name}`,
  );
}

function readToken(file: string): string {
  return file === '-' ? readFileSync(0, 'utf8').trim() : readSecretFile(file);
}
