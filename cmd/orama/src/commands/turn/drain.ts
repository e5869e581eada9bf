import type { ControlplaneClient } from '@orama/controlplane/client';
import { OramaError, toOramaError } from '@orama/core';
import { EXIT, type NodeTurn, nodeIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import type { Progress } from '../../output/progress.ts';
import { pause } from '../../wait.ts';

const POLL_MS = 200;
/** Beyond the deadline: the server closes its sockets and exits, and with --restart another one starts. */
const MARGIN_SEC = 30;

interface DrainOptions {
  node: string;
  deadline: number;
  restart?: boolean;
}

export function turnDrainCommand(): Command {
  return new Command('drain')
    .description(
      'empty the TURN server of a node: no new allocations, those it has go on until they end or the deadline',
    )
    .requiredOption('--node <node>', 'the node', schemaOption(nodeIdSchema))
    .option('--deadline <seconds>', 'when whatever is left is ended', integerOption(1, 86_400), 300)
    .option('--restart', 'start another server afterwards; without it the node serves again after "orama turn resume"')
    .addHelpText(
      'after',
      examples('orama turn drain --node node-1 --deadline 600', 'orama turn drain --node node-1 --restart'),
    )
    .action(withContext(drain));
}

async function drain(context: Context, { node, deadline, restart = false }: DrainOptions): Promise<void> {
  const client = connect(context);
  const progress = await context.output.progress(`draining the TURN server of ${node}`);
  try {
    const ended = await withInterrupt(async (signal) => {
      const beganMs = performance.now();
      const begun = await client.drainTurn(node, { deadlineMs: deadline * 1000, restart });
      return watchDrain({ client, begun, beganMs, restart, deadlineMs: deadline * 1000, progress, signal });
    });
    progress.stop();
    const { turn, endedThemselves, cut } = ended;
    const counts = `${plural(endedThemselves, 'allocation')} ended by ${endedThemselves === 1 ? 'itself' : 'themselves'}, ${cut} cut at the deadline`;
    const message = restart
      ? `the TURN server of ${node} was drained (${counts}), and another one serves`
      : `the TURN server of ${node} is drained (${counts}); it serves again with "orama turn resume --node ${node}"`;
    context.output.result({ outcome: 'drained', message, endedThemselves, cut, turn }, () => message);
  } catch (thrown) {
    progress.stop();
    if (!(thrown instanceof Interrupted)) throw thrown;
    const message = `no longer watching, but the drain goes on: see "orama turn status --node ${node}"`;
    context.output.result({ outcome: 'interrupted', message }, () => message);
    process.exitCode = EXIT.failed;
  }
}

/** What became of a drain and of the allocations that were there when it began. */
interface Drained {
  turn: NodeTurn;
  endedThemselves: number;
  /** Those that were last seen before the deadline ended them. */
  cut: number;
}

/** Shows what is left until the drained server is gone and, with `restart`, another one serves. Throws TIMEOUT. */
async function watchDrain(watch: {
  client: ControlplaneClient;
  begun: NodeTurn;
  /** Monotonic, not after the server's deadline began to run. */
  beganMs: number;
  restart: boolean;
  deadlineMs: number;
  progress: Progress;
  signal: AbortSignal;
}): Promise<Drained> {
  const { client, begun, beganMs, restart, deadlineMs, progress, signal } = watch;
  const all = begun.server?.allocations ?? 0;
  // A drain that was going on may end sooner than this one was to.
  const endsAt = begun.server?.drainEndsAt;
  const cutMs = beganMs + Math.min(deadlineMs, endsAt === undefined ? deadlineMs : Date.parse(endsAt) - Date.now());
  const untilMs = beganMs + deadlineMs + MARGIN_SEC * 1000;
  let left = all;
  let seen = begun;
  for (;;) {
    const { server } = seen;
    // From the deadline on none is left, and it is too late to see whose doing that was.
    if (performance.now() < cutMs) left = server?.draining ? server.allocations : 0;
    if (restart ? server && !server.draining : !server) return { turn: seen, endedThemselves: all - left, cut: left };
    if (performance.now() >= untilMs) {
      throw new OramaError('TIMEOUT', `the TURN server of ${seen.node} is not drained yet`, {
        hint: `it goes on; see "orama turn status --node ${seen.node}"`,
        details: { turn: seen },
      });
    }
    progress.update(server ? describeLeft(server) : 'waiting for another server');
    await pause(POLL_MS, signal);
    // A controlplane that restarts meanwhile is no reason to give up.
    seen = await client.nodeTurn(seen.node).catch((thrown: unknown) => {
      if (toOramaError(thrown).retryable) return seen;
      throw thrown;
    });
  }
}

function describeLeft({ allocations, drainEndsAt }: NonNullable<NodeTurn['server']>): string {
  const end = drainEndsAt === undefined ? '' : `, ended at ${drainEndsAt} at the latest`;
  return `${plural(allocations, 'allocation')} left${end}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
