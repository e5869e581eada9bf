import { toOramaError } from '@orama/core';
import { Command } from 'commander';
import { type Context, onThisMachine } from '../../context.ts';
import { hasStarter, leaveStarter, startDetached, starterGone, tellStarter } from '../../dev/detach.ts';
import { DEFAULT_DEV_SETTINGS } from '../../dev/layout.ts';
import { type DevSettings, type DevState, devSettingsSchema } from '../../dev/state.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { readDevState } from '../../settings.ts';
import { describeDevCluster } from './describe.ts';

interface StartOptions {
  detach?: true;
  loopbackPrefix?: string;
  httpPort?: number;
  nodes?: number;
  store?: DevSettings['store'];
  logLevel?: DevSettings['logLevel'];
  turnLifetime?: number;
  turnNonceLifetime?: number;
  failpointDir?: string;
}

export function devStartCommand(): Command {
  const command = new Command('start')
    .description(
      'start a whole cluster on this machine: no root, no installation; options not given are those of the last start',
    )
    .option('--detach', 'return when the cluster is ready and leave it running')
    .option('--loopback-prefix <prefix>', 'first two octets of its addresses (default 127.77)', prefixOption)
    .option(
      '--http-port <port>',
      'public port of the first gateway; the others take the next ones (default 6080)',
      integerOption(1, 65_000),
    )
    .option('--nodes <count>', 'number of nodes (default 3)', integerOption(1, 9))
    .option('--store <driver>', 'sqlite, one file, or rqlite, replicated over the nodes (default sqlite)', storeOption)
    .option('--log-level <level>', 'trace, debug, info, warn or error (default info)', logLevelOption)
    .addHelpText(
      'after',
      examples(
        'orama dev start',
        'orama dev start --detach',
        'orama dev start --data-dir /tmp/second --loopback-prefix 127.78 --http-port 7080',
      ),
    );
  for (const option of [
    command
      .createOption('--turn-lifetime <seconds>', 'default lifetime of TURN allocations')
      .argParser(integerOption(1, 86_400)),
    command
      .createOption('--turn-nonce-lifetime <seconds>', 'lifetime of TURN nonces')
      .argParser(integerOption(1, 86_400)),
    command.createOption('--failpoint-dir <folder>', 'one-shot crash points, for tests'),
  ])
    command.addOption(option.hideHelp());
  return command.action(onThisMachine(startDev));
}

const prefixOption = schemaOption(devSettingsSchema.shape.loopbackPrefix);
const storeOption = schemaOption(devSettingsSchema.shape.store);
const logLevelOption = schemaOption(devSettingsSchema.shape.logLevel);

async function startDev(context: Context, options: StartOptions): Promise<void> {
  const {
    settings: { dataDir },
  } = context;
  const settings = chooseSettings(dataDir, options);
  const { path } = context.settings;
  if (hasStarter()) return startForStarter(dataDir, path, settings);
  await withInterrupt(async (signal) => {
    const progress = await context.output.progress('starting the cluster');
    const onProgress = (text: string) => progress.update(text);
    const onReady = (state: DevState) => {
      progress.succeed(`the cluster is ready: ${state.nodes.length} nodes`);
      context.output.result(state, () => describeDevCluster(context.output, state));
    };
    try {
      if (options.detach) {
        const cluster = await startDetached({ dataDir, settings, signal, onProgress });
        await cluster.release();
        return onReady(cluster.state);
      }
      const { runCluster } = await import('../../dev/run.ts');
      await runCluster({
        dataDir,
        path,
        settings,
        signal,
        onProgress,
        onReady(state) {
          onReady(state);
          context.output.note('press Ctrl-C to stop it');
        },
      });
      progress.succeed('the cluster is stopped');
    } catch (thrown) {
      if (!(thrown instanceof Interrupted)) {
        progress.stop();
        throw thrown;
      }
      progress.succeed('the cluster is stopped');
    }
  });
}

/** Runs the cluster for a command that waits until it is ready and then goes. Stderr is the supervisor's log. */
async function startForStarter(dataDir: string, path: readonly string[], settings: DevSettings): Promise<void> {
  const log = (text: string) => process.stderr.write(`${new Date().toISOString()} ${text}\n`);
  let last = '';
  const { runCluster } = await import('../../dev/run.ts');
  try {
    await withInterrupt((signal) =>
      runCluster({
        dataDir,
        path,
        settings,
        signal: AbortSignal.any([signal, starterGone()]),
        onProgress(text) {
          if (text === last) return;
          last = text;
          log(text);
          tellStarter({ type: 'progress', text });
        },
        onReady(state) {
          log('the cluster is ready');
          tellStarter({ type: 'ready', state });
        },
      }),
    );
    await leaveStarter();
  } catch (thrown) {
    if (thrown instanceof Interrupted) return leaveStarter();
    const { code, message, hint } = toOramaError(thrown, 'starting the cluster');
    await leaveStarter({ type: 'failed', code, message, ...(hint === undefined ? {} : { hint }) });
    throw thrown;
  }
}

function chooseSettings(dataDir: string, options: StartOptions): DevSettings {
  const earlier = readDevState(dataDir)?.settings ?? DEFAULT_DEV_SETTINGS;
  const failpointDir = options.failpointDir ?? earlier.failpointDir;
  return {
    loopbackPrefix: options.loopbackPrefix ?? earlier.loopbackPrefix,
    httpPort: options.httpPort ?? earlier.httpPort,
    nodes: options.nodes ?? earlier.nodes,
    store: options.store ?? earlier.store,
    logLevel: options.logLevel ?? earlier.logLevel,
    turnLifetimeSec: options.turnLifetime ?? earlier.turnLifetimeSec,
    turnNonceLifetimeSec: options.turnNonceLifetime ?? earlier.turnNonceLifetimeSec,
    ...(failpointDir === undefined ? {} : { failpointDir }),
  };
}
