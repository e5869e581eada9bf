import { UserError } from '@orama/core';
import { EXIT, namespaceNameSchema } from '@orama/protocol';
import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { aborted } from '../../wait.ts';
import { describeStatus } from '../namespace/describe.ts';

interface DemoOptions {
  check?: true;
  keep?: true;
  namespace: string;
  room: string;
  joins: number;
  loopbackPrefix?: string;
  httpPort?: number;
}

export function demoCommand(): Command {
  return new Command('demo')
    .description('start a cluster, enable WebRTC for a namespace and show the address of its call page')
    .option('--check', 'let two headless Chromium pages hold a call, print what each received, and end')
    .option('--keep', 'leave the cluster running at the end')
    .option('--namespace <name>', 'the namespace', schemaOption(namespaceNameSchema), 'demo')
    .option('--room <room>', 'the room of the call', 'lobby')
    .option('--joins <count>', 'joins that --check measures', integerOption(1, 200), 20)
    .option('--loopback-prefix <prefix>', 'first two octets of the cluster\'s addresses (see "orama dev start")')
    .option('--http-port <port>', 'public port of the first gateway', integerOption(1, 65_000))
    .addHelpText('after', examples('orama demo', 'orama demo --check'))
    .action(onThisMachine(runDemo));
}

/** A release has no browser driver. */
function refuseWithoutDriver(thrown: unknown): never {
  if ((thrown as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw thrown;
  throw new UserError('UNAVAILABLE', '--check needs the browser driver, which a release does not carry', {
    hint: 'run it in a checkout of the sources: npx -y pnpm@12 demo --check',
  });
}

async function runDemo(context: Context, options: DemoOptions): Promise<void> {
  const { output, settings } = context;
  // A cluster that this command started is stopped by it, whatever happens; one that ran before is left alone.
  let started = false;
  const { prepareDemo } = await import('../../demo/prepare.ts');
  try {
    await withInterrupt(async (signal) => {
      const demo = await prepareDemo(context, options, signal, () => {
        started = true;
      });
      const summary = () =>
        [describeStatus(output, demo.status), '', `call page: ${output.style(['bold', 'cyan'], demo.url)}`].join('\n');
      if (options.check) {
        output.note(summary());
        // The browser driver is large: only a check pays for loading it.
        const { checkDemo } = await import('../../demo/check.ts').catch(refuseWithoutDriver);
        await checkDemo(context, demo, options.joins, signal);
      } else {
        output.result(demo, summary);
        output.note('open the call page in two tabs; press Ctrl-C to stop everything');
        await aborted(signal);
      }
      if (options.keep) await demo.release();
    });
  } catch (thrown) {
    if (!(thrown instanceof Interrupted)) throw thrown;
    if (options.check) process.exitCode = EXIT.failed;
  } finally {
    if (started && !options.keep) {
      const progress = await output.progress('stopping');
      const { stopCluster } = await import('../../dev/stop.ts');
      await stopCluster(settings.dataDir, (text) => progress.update(text));
      progress.succeed('stopped; nothing is left running');
    }
  }
}
