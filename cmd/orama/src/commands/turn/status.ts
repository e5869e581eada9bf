import { describeError } from '@orama/core';
import { type NodeTurn, nodeIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect, nodeIds } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';
import type { Output } from '../../output/output.ts';
import { renderTable } from '../../output/table.ts';

/** A node's answer, or why there is none. */
type Seen = NodeTurn | { node: string; error: string };

export function turnStatusCommand(): Command {
  return new Command('status')
    .description('show the TURN servers: allocations, threads, drains, tenants, certificates')
    .option('--node <node>', 'only this node', schemaOption(nodeIdSchema))
    .addHelpText('after', examples('orama turn status', 'orama turn status --node node-1 --json'))
    .action(withContext(showStatus));
}

async function showStatus(context: Context, { node }: { node?: string }): Promise<void> {
  const client = connect(context);
  const ids = node === undefined ? await nodeIds(client) : [node];
  const nodes = await Promise.all(
    ids.map(
      (id): Promise<Seen> =>
        client.nodeTurn(id).catch((thrown: unknown) => {
          // One node that was asked for by name is the whole question.
          if (node !== undefined) throw thrown;
          return { node: id, error: describeError(thrown) };
        }),
    ),
  );
  context.output.result({ nodes }, () => describe(context.output, nodes));
}

function describe(output: Output, nodes: readonly Seen[]): string {
  const rows = nodes.map((seen) => {
    if ('error' in seen) return [seen.node, output.style('red', 'not reached'), '', '', '', seen.error];
    const { server, tenants } = seen;
    return [
      seen.node,
      describeState(output, seen),
      server ? String(server.allocations) : '',
      server ? String(server.workers.length) : '',
      tenants.map(({ namespace, allocations }) => `${namespace} (${allocations})`).join(', '),
      (server?.certificates ?? []).map(describeCertificate).join(', '),
    ];
  });
  return renderTable(output, ['node', 'state', 'allocations', 'threads', 'tenants', 'certificates'], rows);
}

function describeState(output: Output, { node, server, held }: NodeTurn): string {
  if (server?.draining) {
    const end = server.drainEndsAt === undefined ? '' : ` until ${server.drainEndsAt}`;
    return output.style('yellow', `draining${end}`);
  }
  if (server) return output.style('green', 'serving');
  return output.style('red', held ? `drained (orama turn resume --node ${node})` : 'not running');
}

function describeCertificate(certificate: NonNullable<NodeTurn['server']>['certificates'][number]): string {
  const days = Math.floor((Date.parse(certificate.notAfter) - Date.now()) / 86_400_000);
  return `${certificate.name ?? 'any name'}: ${certificate.selfSigned ? 'self-signed' : certificate.issuer}, ${days} days left`;
}
