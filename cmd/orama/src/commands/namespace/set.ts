import { OramaError, UserError } from '@orama/core';
import { EXIT, namespaceNameSchema, type WebrtcStatus } from '@orama/protocol';
import { Argument, Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { pause } from '../../wait.ts';
import { addTurnOptions, describeTurnSettings, givenTurnSettings, type TurnOptions } from './turn-options.ts';

const POLL_MS = 200;

export function namespaceSetCommand(): Command {
  const command = new Command('set')
    .description('change settings of a feature that is on, and wait until they are in effect; calls go on')
    .addArgument(new Argument('<feature>', 'what to change').choices(['webrtc']))
    .requiredOption('--ns, --namespace <name>', 'the namespace', schemaOption(namespaceNameSchema))
    .option('--timeout <seconds>', 'how long to wait; the work goes on afterwards', integerOption(1, 3_600), 60);
  return addTurnOptions(command)
    .addHelpText(
      'after',
      examples(
        'orama namespace set webrtc --namespace myapp --bytes-per-sec 12500000',
        'orama namespace set webrtc --ns myapp --peer-policy public --max-allocations 200',
        'orama namespace set webrtc --ns myapp --bytes-per-sec none',
      ),
    )
    .action(withContext(setWebrtc));
}

async function setWebrtc(
  context: Context,
  _feature: string,
  { namespace, timeout, ...options }: TurnOptions & { namespace: string; timeout: number },
): Promise<void> {
  const change = givenTurnSettings(options);
  if (Object.keys(change).length === 0) {
    throw new UserError('INVALID_REQUEST', 'no setting was given', {
      hint: 'name one, such as --bytes-per-sec; see "orama namespace set --help"',
    });
  }
  const client = connect(context);
  const progress = await context.output.progress(`changing the settings of namespace ${namespace}`);
  try {
    const changed = await withInterrupt(async (signal) => {
      const done = await client.changeTurnSettings(namespace, change);
      const deadline = performance.now() + timeout * 1000;
      for (;;) {
        const missing = notInEffect(await client.webrtcStatus(namespace), done.generation);
        if (missing.length === 0) return done;
        if (performance.now() >= deadline) throw notInTime(namespace, timeout, missing);
        progress.update(`waiting for ${missing.join(', ')}`);
        await pause(POLL_MS, signal);
      }
    });
    progress.stop();
    context.output.result(changed, () => [changed.message, describeTurnSettings(changed.settings)].join('\n'));
  } catch (thrown) {
    progress.stop();
    if (!(thrown instanceof Interrupted)) throw thrown;
    const message = `no longer waiting: watch "orama namespace webrtc-status --namespace ${namespace}"`;
    context.output.result({ outcome: 'interrupted', message }, () => message);
    process.exitCode = EXIT.failed;
  }
}

/** The TURN servers that do not run with `generation` yet. Nothing is waited for once a later change took over. */
function notInEffect(status: WebrtcStatus, generation: number): string[] {
  if (status.generation !== generation) return [];
  const late = status.services.filter(({ service, healthy }) => service === 'turn' && !healthy);
  return late.map(({ node, reason }) => `turn on ${node}${reason === undefined ? '' : ` (${reason})`}`);
}

function notInTime(namespace: string, timeoutSec: number, missing: string[]): OramaError {
  return new OramaError('TIMEOUT', `not in effect after ${timeoutSec} s; missing: ${missing.join(', ')}`, {
    hint: `the settings are stored and the nodes go on; watch "orama namespace webrtc-status --namespace ${namespace}"`,
    details: { missing },
  });
}
