import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { examples } from '../../options.ts';

export function devStopCommand(): Command {
  return new Command('stop')
    .description('stop the local cluster and everything it started; its data stays')
    .addHelpText('after', examples('orama dev stop'))
    .action(onThisMachine(stopDev));
}

async function stopDev({ settings, output }: Context): Promise<void> {
  const progress = await output.progress('looking for the cluster');
  const { stopCluster } = await import('../../dev/stop.ts');
  const stopped = await stopCluster(settings.dataDir, (text) => progress.update(text));
  progress.stop();
  output.result({ dataDir: settings.dataDir, stopped }, () =>
    stopped
      ? `the cluster on ${settings.dataDir} is stopped`
      : `no cluster ran on ${settings.dataDir}; nothing was changed`,
  );
}
