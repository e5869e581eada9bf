import { describeError } from '@orama/core';
import { EXIT, type NodePlan, nodeIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect, nodeIds } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';
import type { Output } from '../../output/output.ts';
import { renderTable } from '../../output/table.ts';

/** A node's answer, or why there is none. */
type Seen = NodePlan | { node: string; error: string };

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description('show what the nodes would do now to become what the store says; they do it by themselves')
    .requiredOption('--dry-run', 'only show it: there is nothing else to ask for')
    .option('--node <node>', 'only this node', schemaOption(nodeIdSchema))
    .addHelpText('after', examples('orama reconcile --dry-run', 'orama reconcile --dry-run --node node-1 --json'))
    .action(withContext(showPlans));
}

async function showPlans(context: Context, { node }: { node?: string }): Promise<void> {
  const client = connect(context);
  const ids = node === undefined ? await nodeIds(client) : [node];
  const nodes = await Promise.all(
    ids.map(
      (id): Promise<Seen> =>
        client.nodePlan(id).catch((thrown: unknown) => {
          // One node that was asked for by name is the whole question.
          if (node !== undefined) throw thrown;
          return { node: id, error: describeError(thrown) };
        }),
    ),
  );
  context.output.result({ nodes }, () => describe(context.output, nodes));
  if (nodes.some((seen) => 'error' in seen || seen.tasks.some(({ error }) => error !== undefined)))
    process.exitCode = EXIT.failed;
}

function describe(output: Output, nodes: readonly Seen[]): string {
  const rows = nodes.flatMap((seen) => {
    if ('error' in seen) return [[seen.node, '', output.style('red', 'not asked'), '', seen.error]];
    return seen.tasks.flatMap(({ task, actions, error }) => [
      ...(error === undefined ? [] : [[seen.node, task, output.style('red', 'cannot tell'), '', error]]),
      ...actions.map(({ kind, subject, reason }) => [seen.node, task, kind, subject, reason]),
    ]);
  });
  if (rows.length === 0) return `nothing to do on ${nodes.map(({ node }) => node).join(', ')}`;
  return renderTable(output, ['node', 'task', 'action', 'subject', 'reason'], rows);
}
