import { UserError } from '@orama/core';
import { Command } from 'commander';
import { connectTo } from '../../cluster.ts';
import { type Context, onThisMachine } from '../../context.ts';
import { planNodes } from '../../dev/layout.ts';
import { lockHolder } from '../../dev/lock.ts';
import { checkAddresses, wantedAddresses } from '../../dev/preflight.ts';
import { waitForCluster } from '../../dev/readiness.ts';
import { ADD_NODE_SIGNAL, NODES_MAX } from '../../dev/state.ts';
import { withInterrupt } from '../../interrupt.ts';
import { examples } from '../../options.ts';
import { signalProcess } from '../../process-identity.ts';
import { NoClusterError, readDevState } from '../../settings.ts';
import { pause } from '../../wait.ts';

const POLL_MS = 100;

export function devAddNodeCommand(): Command {
  return new Command('add-node')
    .description('start one more node of the local cluster that runs, and wait until it takes part')
    .addHelpText('after', examples('orama dev add-node', 'orama dev add-node && orama node list'))
    .action(onThisMachine(addNode));
}

async function addNode({ settings: { dataDir }, output }: Context): Promise<void> {
  const before = readDevState(dataDir);
  const supervisor = before?.supervisor;
  if (!before || !supervisor || !lockHolder(dataDir)) throw new NoClusterError(dataDir);
  const count = before.nodes.length + 1;
  if (count > NODES_MAX) {
    throw new UserError('INVALID_REQUEST', `a local cluster has at most ${NODES_MAX} nodes; nothing was changed`);
  }
  if (before.settings.store === 'rqlite') {
    throw new UserError('INVALID_REQUEST', 'the nodes of a local cluster on rqlite are counted when it is started', {
      hint: `orama dev stop, then orama dev start --nodes ${count}`,
    });
  }
  const [node] = planNodes(dataDir, { ...before.settings, nodes: count }).slice(-1);
  if (node) await checkAddresses(wantedAddresses(node, false));
  const progress = await output.progress(`starting ${node?.id}`);
  try {
    await withInterrupt(async (signal) => {
      signalProcess(supervisor, ADD_NODE_SIGNAL);
      while ((readDevState(dataDir)?.nodes.length ?? 0) < count) await pause(POLL_MS, signal);
      const { nodes = [], clusterKeyFile = '' } = readDevState(dataDir) ?? {};
      const client = connectTo({ endpoints: nodes.map(({ api }) => api), clusterKeyFile });
      const onProgress = (text: string) => progress.update(text);
      await waitForCluster({ client, nodes, signal, onProgress, throwIfHopeless: () => {} });
    });
  } finally {
    progress.stop();
  }
  const message = `${node?.id} takes part`;
  output.result({ outcome: 'added', message, node }, () => message);
}
