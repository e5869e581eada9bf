import type { NodeView } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples } from '../../options.ts';
import type { Output } from '../../output/output.ts';
import { renderTable } from '../../output/table.ts';

export function nodeListCommand(): Command {
  return new Command('list')
    .description('show the nodes: state, addresses, version, services and load')
    .option('--all', 'those too that were removed')
    .addHelpText('after', examples('orama node list', 'orama node list --json'))
    .action(withContext(listNodes));
}

async function listNodes(context: Context, { all = false }: { all?: boolean }): Promise<void> {
  const nodes = (await connect(context).nodes()).filter(({ state }) => all || state !== 'gone');
  context.output.result({ nodes }, () => describeNodes(context.output, nodes));
}

export function describeNodes(output: Output, nodes: readonly NodeView[]): string {
  const head = ['node', 'state', 'reachable', 'WireGuard', 'public', 'region', 'version', 'services', 'load'];
  return renderTable(
    output,
    head,
    nodes.map((node) => [
      node.id,
      describeState(output, node),
      node.alive ? output.style('green', 'yes') : output.style('red', describeAbsence(node)),
      node.wireguardIp,
      [node.publicIp, node.publicIp6].filter((address) => address !== null).join(' '),
      node.region,
      node.version,
      describeServices(node),
      `${node.peers} peers, ${node.allocations} allocations`,
    ]),
  );
}

/** A machine that was taken in and has not started yet was never heard. */
function describeAbsence({ aliveSince }: NodeView): string {
  return Date.parse(aliveSince) === 0 ? 'never seen' : `no, since ${aliveSince}`;
}

function describeState(output: Output, { state, services, operation }: NodeView): string {
  if (state !== 'draining') return state;
  if (operation) return output.style('yellow', `draining until ${operation.deadlineAt ?? '?'}`);
  return output.style('yellow', services.length === 0 ? 'drained' : 'draining');
}

/** Its own services, and how many of namespaces. */
function describeServices({ core, services }: NodeView): string {
  const own = core.map(
    ({ service, healthy, reason }) => `${service} ${healthy ? 'ok' : `not ready (${reason ?? '?'})`}`,
  );
  const counted = (['sfu', 'turn'] as const).map((service) => {
    const here = services.filter((each) => each.service === service);
    const leaving = here.filter((each) => each.leaving).length;
    return `${here.length} ${service}${leaving === 0 ? '' : ` (${leaving} leaving)`}`;
  });
  return [...own, ...counted].join(', ');
}
