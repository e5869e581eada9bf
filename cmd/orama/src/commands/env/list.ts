import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import { LOCAL_ENVIRONMENT } from '../../environments/environment.ts';
import { examples } from '../../options.ts';
import { renderTable } from '../../output/table.ts';

export function envListCommand(): Command {
  return new Command('list')
    .description('show the clusters that --env may name, and which one is meant without it')
    .addHelpText('after', examples('orama env list', 'orama env list --json'))
    .action(withContext(listEnvironments));
}

async function listEnvironments({ settings, output }: Context): Promise<void> {
  const { path, current = LOCAL_ENVIRONMENT, environments } = settings.environments();
  const known = Object.entries(environments).map(([name, { url, api, caFile }]) => ({
    name,
    current: name === current,
    access: url === undefined ? ('cluster-key' as const) : ('token' as const),
    endpoints: url === undefined ? (api ?? []) : [url],
    ...(caFile !== undefined && { caFile }),
  }));
  const local = { name: LOCAL_ENVIRONMENT, current: current === LOCAL_ENVIRONMENT };
  output.result({ file: path, environments: [local, ...known] }, () =>
    renderTable(
      output,
      ['environment', 'current', 'reached', 'with'],
      [
        [LOCAL_ENVIRONMENT, local.current ? 'yes' : '', 'the cluster of this machine', 'the cluster key'],
        ...known.map(({ name, current, endpoints, access }) => [
          name,
          current ? 'yes' : '',
          endpoints.join(' '),
          access === 'token' ? 'a token' : 'the cluster key',
        ]),
      ],
    ),
  );
}
