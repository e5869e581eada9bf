import { namespaceNameSchema, type Usage, type UsageQuery, usageQuerySchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { examples, schemaOption } from '../../options.ts';
import { bytes } from '../../output/quantity.ts';
import { renderTable } from '../../output/table.ts';

const timeOption = schemaOption(usageQuerySchema.shape.from.unwrap());

export function namespaceUsageCommand(): Command {
  return new Command('usage')
    .description('show what a namespace relayed through TURN, by hour and over all nodes')
    .argument('<name>', 'the namespace', schemaOption(namespaceNameSchema))
    .option(
      '--from <time>',
      'begin with this hour, such as 2026-11-21T00:00:00Z (default: 24 hours before the end)',
      timeOption,
    )
    .option('--to <time>', 'end before this time (default: now)', timeOption)
    .addHelpText(
      'after',
      examples(
        'orama namespace usage myapp',
        'orama namespace usage myapp --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --json',
      ),
    )
    .action(withContext(showUsage));
}

async function showUsage(context: Context, name: string, query: UsageQuery): Promise<void> {
  const usage = await connect(context).usage(name, query);
  context.output.result(usage, () =>
    usage.hours.length === 0
      ? `namespace ${name} relayed nothing from ${usage.from} to ${usage.to}`
      : renderTable(
          context.output,
          ['hour', 'from clients', 'to clients', 'packets from', 'packets to', 'allocations'],
          [...usage.hours.map((hour) => [hour.hour, ...cells(hour)]), ['total', ...cells(usage.total)]],
        ),
  );
}

function cells(relayed: Usage['total']): string[] {
  return [
    bytes(relayed.relayed_bytes_in),
    bytes(relayed.relayed_bytes_out),
    String(relayed.relayed_packets_in),
    String(relayed.relayed_packets_out),
    String(relayed.allocations),
  ];
}
