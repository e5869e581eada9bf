import { EXIT } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, withContext } from '../../context.ts';
import type { Line } from '../../doctor/line.ts';
import type { DoctorOptions } from '../../doctor/run.ts';
import { addGatewayOptions } from '../../gateway/connect-gateway.ts';
import { withInterrupt } from '../../interrupt.ts';
import { examples } from '../../options.ts';
import type { Output } from '../../output/output.ts';

export function doctorCommand(version: string): Command {
  return addGatewayOptions(
    new Command('doctor')
      .description('find out why it does not work: this machine, the cluster, and a whole call through it')
      .option(
        '--config <file>',
        "this node's controlplane configuration (/etc/orama/controlplane.yaml where it is there)",
      )
      .option('--no-call', 'hold no call'),
  )
    .addHelpText(
      'after',
      `\nWithout --namespace the call is held in a namespace "orama-doctor", which is made for it and removed afterwards.\nExit codes: 0 all passed, 1 something failed, 8 there are warnings and nothing worse.\n${examples(
        'orama doctor',
        'orama doctor --namespace myapp',
        'orama doctor --gateway https://ns-myapp.example.org --api-key-file myapp.key --json',
        'orama doctor --no-call --json',
      )}`,
    )
    .action(withContext((context: Context, options: DoctorOptions) => doctor(context, options, version)));
}

async function doctor(context: Context, options: DoctorOptions, version: string): Promise<void> {
  // A client of TURN is loaded by the commands that need it only.
  const { examine } = await import('../../doctor/run.ts');
  const progress = await context.output.progress('examining');
  const lines = await withInterrupt((signal) =>
    examine({ context, options, version, signal, onProgress: (text) => progress.update(text) }),
  ).finally(() => progress.stop());
  const has = (state: Line['state']) => lines.some((line) => line.state === state);
  const state = has('failed') ? 'failed' : has('warning') ? 'warning' : 'passed';
  context.output.result({ state, lines }, () => describe(context.output, lines));
  process.exitCode = { passed: EXIT.done, warning: EXIT.warnings, failed: EXIT.failed }[state];
}

const COLOURS = { passed: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const;

function describe(output: Output, lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ id }) => id.length));
  return lines
    .flatMap(({ id, state, seen, mend }) => [
      `${output.style(COLOURS[state], state.padEnd(7))}  ${id.padEnd(width)}  ${seen}`,
      ...(mend === undefined ? [] : [`${' '.repeat(width + 11)}mend: ${mend}`]),
    ])
    .join('\n');
}
