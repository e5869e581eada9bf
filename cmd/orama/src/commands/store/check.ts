import { OramaError } from '@orama/core';
import type { CheckReport } from '@orama/store';
import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { examples } from '../../options.ts';
import type { Output } from '../../output/output.ts';
import { renderTable } from '../../output/table.ts';
import { chosenStore, configOption, reaching } from './config-option.ts';

export function storeCheckCommand(): Command {
  return new Command('check')
    .description('look for damage, rows that break what the programs rely on, and copies that lag; exits with 1 on any')
    .addOption(configOption())
    .addHelpText('after', examples('orama store check', 'orama store check --json'))
    .action(onThisMachine(check));
}

async function check({ settings, output }: Context, { config }: { config?: string }): Promise<void> {
  // The engines of the store are loaded by the commands about it only.
  const { checkStore } = await import('@orama/store');
  const store = await chosenStore(settings, config);
  const progress = await output.progress('looking at the store');
  const report = await reaching(checkStore(store)).finally(() => progress.stop());
  const [first] = report.problems;
  if (first) {
    output.note(`${describe(output, report)}\n`);
    throw new OramaError('INTERNAL', `the store has ${report.problems.length} problems, the first: ${first.detail}`, {
      details: { ...report },
      hint: 'docs/operations.md, "The store", says what to do about each',
    });
  }
  output.result(report, () => describe(output, report));
}

function describe(output: Output, { driver, schema, nodes, problems }: CheckReport): string {
  const members = nodes.map(({ id, address, leader, reachable, appliedIndex }) => [
    id,
    address,
    reachable ? (leader ? 'leader' : 'follower') : output.style('red', 'not reached'),
    appliedIndex === null ? '-' : String(appliedIndex),
  ]);
  return [
    `${driver}, schema ${schema.version ?? 'unknown'} of ${schema.newest}`,
    ...(members.length > 0 ? [renderTable(output, ['node', 'address', 'state', 'log index'], members)] : []),
    ...(problems.length > 0
      ? [
          renderTable(
            output,
            ['check', 'problem'],
            problems.map(({ check: name, detail }) => [name, detail]),
          ),
        ]
      : ['no problem was found']),
  ].join('\n');
}
