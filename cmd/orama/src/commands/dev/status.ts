import { Command } from 'commander';
import { connectTo } from '../../cluster.ts';
import { type Context, onThisMachine } from '../../context.ts';
import { lockHolder } from '../../dev/lock.ts';
import { missingParts, unreadyNodes } from '../../dev/readiness.ts';
import { describeStore, devStore } from '../../dev/store-status.ts';
import { examples } from '../../options.ts';
import { NoClusterError, readDevState } from '../../settings.ts';
import { describeDevCluster } from './describe.ts';

export function devStatusCommand(): Command {
  return new Command('status')
    .description('show the local cluster and how its nodes are; exits with 3 when it does not run')
    .addHelpText('after', examples('orama dev status', 'orama dev status --json'))
    .action(onThisMachine(showStatus));
}

async function showStatus({ settings, output }: Context): Promise<void> {
  const state = readDevState(settings.dataDir);
  if (!state || !lockHolder(settings.dataDir)) {
    throw new NoClusterError(settings.dataDir);
  }
  const cluster = await connectTo({
    endpoints: state.nodes.map((node) => node.api),
    clusterKeyFile: state.clusterKeyFile,
  }).cluster();
  const missing = missingParts(state.nodes, cluster, await unreadyNodes(state.nodes));
  const store = await devStore(settings.dataDir, state);
  output.result(
    {
      dataDir: settings.dataDir,
      state: state.state,
      healthy: missing.length === 0,
      missing,
      store,
      dev: state,
      cluster,
    },
    () =>
      [
        `${state.state}, data in ${settings.dataDir}, supervisor process ${state.supervisor?.pid ?? '-'}`,
        describeDevCluster(output, state, cluster),
        `store: ${describeStore(store)}`,
        ...(missing.length === 0 ? [] : [`not well: ${missing.join(', ')}`]),
      ].join('\n'),
  );
}
