import { CHECKS, type Check, inspect, type Need, worstOf } from '@orama/controlplane/inspector';
import { EXIT, namespaceNameSchema } from '@orama/protocol';
import { Command, InvalidArgumentError } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { withInterrupt } from '../../interrupt.ts';
import { examples, schemaOption } from '../../options.ts';
import { renderTable } from '../../output/table.ts';

interface InspectorOptions {
  namespace?: string;
  only?: string[];
  list?: true;
  all?: true;
}

export function inspectorCommand(version: string): Command {
  return new Command('inspector')
    .description('check a cluster for what is broken, or will be, and say what mends it')
    .option('--ns, --namespace <name>', 'only the WebRTC of this namespace', schemaOption(namespaceNameSchema))
    .option('--only <id>', 'only this check; repeatable', checkOption)
    .option('--all', 'show what is well too')
    .option('--list', 'show the checks and look at nothing')
    .addHelpText(
      'after',
      `\nExit codes: 0 all is well, 1 something is critical, 8 there are warnings and nothing worse.\n${examples(
        'orama inspector',
        'orama inspector --namespace myapp --all',
        'orama inspector --only turn-reachable --only certificate --json',
      )}`,
    )
    .action(withContext((context: Context, options: InspectorOptions) => run(context, options, version)));
}

async function run(context: Context, options: InspectorOptions, version: string): Promise<void> {
  if (options.list) return list(context);
  const checks = CHECKS.filter(({ id }) => options.only?.includes(id) ?? true);
  // TURN's client is loaded by the commands that need it only.
  const { gather } = await import('../../inspector/gather.ts');
  const { describeResults } = await import('../../inspector/describe.ts');
  const client = connect(context);
  const progress = await context.output.progress('inspecting');
  const { facts, silent } = await withInterrupt((signal) =>
    gather({
      ...{ client, version, signal, namespace: options.namespace, needs: needsOf(checks) },
      onProgress: (text) => progress.update(text),
    }),
  ).finally(() => progress.stop());
  const results = inspect(checks, facts, silent);
  const severity = worstOf(results);
  context.output.result({ severity, checks: results }, () =>
    describeResults(context.output, results, options.all ?? false),
  );
  process.exitCode = { ok: EXIT.done, warning: EXIT.warnings, critical: EXIT.failed }[severity];
}

function list(context: Context): void {
  const checks = CHECKS.map(({ id, question }) => ({ id, question }));
  context.output.result({ checks }, () =>
    renderTable(
      context.output,
      ['check', 'question'],
      checks.map(({ id, question }) => [id, question]),
    ),
  );
}

function needsOf(checks: readonly Check[]): Set<Need> {
  return new Set(checks.flatMap(({ needs }) => needs));
}

function checkOption(text: string, earlier: string[] | undefined): string[] {
  if (!CHECKS.some(({ id }) => id === text))
    throw new InvalidArgumentError(`The checks are ${CHECKS.map(({ id }) => id).join(', ')}.`);
  return [...(earlier ?? []), text];
}
