import { OramaError } from '@orama/core';
import { type ClusterReport, EXIT, nodeIdSchema } from '@orama/protocol';
import { Command, InvalidArgumentError } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, schemaOption } from '../../options.ts';
import { pause } from '../../wait.ts';
import { describeReport } from './describe.ts';

interface ReportOptions {
  node?: string;
  /** Milliseconds. */
  interval?: number;
}

const CLEAR_SCREEN = '\x1b[2J\x1b[H';

export function monitorReportCommand(): Command {
  return new Command('report')
    .description('ask every node how it and its namespaces are')
    .option('--node <node>', 'only this node', schemaOption(nodeIdSchema))
    .option('--interval <time>', 'again and again, after so long: 10s, 1m', intervalOption)
    .addHelpText(
      'after',
      `\nExit codes, with --interval of the last report: 0 everything is as it should be, 1 something is not,\n8 nothing but what an operator wants so, such as a drain.\n${examples(
        'orama monitor report --env devnet',
        'orama monitor report --node node-1 --json',
        'orama monitor report --interval 10s',
      )}`,
    )
    .action(withContext(report));
}

async function report(context: Context, { node, interval }: ReportOptions): Promise<void> {
  const client = connect(context);
  const look = async () => {
    const seen = await client.monitor();
    return node === undefined ? seen : ofNode(seen, node);
  };
  if (interval === undefined) {
    const seen = await look();
    context.output.result(seen, () => describeReport(context.output, seen));
    process.exitCode = exitCodeOf(seen);
    return;
  }
  try {
    await withInterrupt((signal) => follow(context, look, interval, signal));
  } catch (thrown) {
    if (!(thrown instanceof Interrupted)) throw thrown;
  }
}

function exitCodeOf({ problems }: ClusterReport): number {
  if (problems.some(({ severity }) => severity === 'critical')) return EXIT.failed;
  return problems.length > 0 ? EXIT.warnings : EXIT.done;
}

/**
 * Shows a report after the other until it is interrupted, with the exit code of the last. A cluster that does not answer
 * meanwhile is told, and asked again.
 */
async function follow(
  context: Context,
  look: () => Promise<ClusterReport>,
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { output } = context;
  let isFirst = true;
  for (;;) {
    try {
      const seen = await look();
      const clear = output.isTerminal ? CLEAR_SCREEN : isFirst ? '' : '\n';
      output.line(seen, () => clear + describeReport(output, seen));
      process.exitCode = exitCodeOf(seen);
    } catch (thrown) {
      // What is wrong from the beginning stays wrong.
      if (isFirst || !(thrown instanceof OramaError) || !thrown.retryable) throw thrown;
      process.exitCode = EXIT.unreachable;
      output.line({ error: { code: thrown.code, message: thrown.message } }, () => output.style('red', thrown.message));
    }
    isFirst = false;
    await pause(intervalMs, signal);
  }
}

function ofNode(report: ClusterReport, node: string): ClusterReport {
  const nodes = report.nodes.filter((one) => one.node === node);
  if (nodes.length === 0) {
    const names = report.nodes.map((one) => one.node).join(', ');
    throw new OramaError('NOT_FOUND', `there is no node "${node}"`, { hint: `the nodes are ${names}` });
  }
  const here = new Set(nodes.flatMap(({ report }) => report?.namespaces.map(({ namespace }) => namespace) ?? []));
  return {
    ...report,
    nodes,
    namespaces: report.namespaces.filter(({ namespace }) => here.has(namespace)),
    problems: report.problems.filter((problem) => problem.node === node),
  };
}

/** Milliseconds. */
function intervalOption(text: string): number {
  const [, count = '', unit] = /^(\d{1,4})(s|m)$/.exec(text) ?? [];
  const ms = Number(count) * (unit === 'm' ? 60_000 : 1_000);
  if (ms < 1_000 || ms > 3_600_000 || unit === undefined)
    throw new InvalidArgumentError('Use a time from 1s to 60m, such as 10s.');
  return ms;
}
