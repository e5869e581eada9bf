import type { ControlplaneClient } from '@orama/controlplane/client';
import { OramaError, toOramaError } from '@orama/core';
import { EXIT, type NodeTurn, nodeIdSchema } from '@orama/protocol';
import { Command } from 'commander';
import { connect } from '../../cluster.ts';
import { type Context, withContext } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import { examples, integerOption, schemaOption } from '../../options.ts';
import { pause } from '../../wait.ts';

const POLL_MS = 200;

interface ResumeOptions {
  node: string;
  timeout: number;
}

export function turnResumeCommand(): Command {
  return new Command('resume')
    .description('let the TURN server of a node run again after a drain, and wait until it serves its namespaces')
    .requiredOption('--node <node>', 'the node', schemaOption(nodeIdSchema))
    .option(
      '--timeout <seconds>',
      'how long to wait once a drain is over; the work goes on afterwards',
      integerOption(1, 3_600),
      60,
    )
    .addHelpText('after', examples('orama turn resume --node node-1', 'orama turn resume --node node-1 --json'))
    .action(withContext(resume));
}

async function resume(context: Context, { node, timeout }: ResumeOptions): Promise<void> {
  const client = connect(context);
  const progress = await context.output.progress(`resuming the TURN server of ${node}`);
  try {
    const turn = await withInterrupt(async (signal) => {
      let seen = await client.resumeTurn(node);
      let untilMs = performance.now() + timeout * 1000;
      for (;;) {
        const missing = await missingOf(client, seen).catch(notYet);
        if (missing === null) return seen;
        // A drain has a deadline of its own.
        if (seen.server?.draining) untilMs = performance.now() + timeout * 1000;
        if (performance.now() >= untilMs) throw notInTime(node, timeout, missing);
        progress.update(`waiting for ${missing}`);
        await pause(POLL_MS, signal);
        seen = await client.nodeTurn(node).catch((thrown: unknown) => {
          notYet(thrown);
          return seen;
        });
      }
    });
    progress.stop();
    const message = `the TURN server of ${node} serves`;
    context.output.result({ outcome: 'serving', message, turn }, () => message);
  } catch (thrown) {
    progress.stop();
    if (!(thrown instanceof Interrupted)) throw thrown;
    const message = `no longer waiting, but the TURN server is being started: see "orama turn status --node ${node}"`;
    context.output.result({ outcome: 'interrupted', message }, () => message);
    process.exitCode = EXIT.failed;
  }
}

/** What keeps a TURN server from serving all of its namespaces, in words; null when nothing does. */
async function missingOf(client: ControlplaneClient, { node, server }: NodeTurn): Promise<string | null> {
  if (server?.draining) return `the drain to end, at ${server.drainEndsAt} at the latest`;
  if (!server) return 'the server to start';
  for (const { name, webrtc } of await client.namespaces()) {
    if (webrtc === 'off') continue;
    const { services } = await client.webrtcStatus(name);
    const turn = services.find((each) => each.service === 'turn' && each.node === node);
    if (turn?.desired === 'running' && !turn.healthy) return `namespace ${name} (${turn.reason ?? turn.observed})`;
  }
  return null;
}

/** A controlplane that restarts meanwhile is no reason to give up. */
function notYet(thrown: unknown): string {
  if (toOramaError(thrown).retryable) return 'the controlplane to answer';
  throw thrown;
}

function notInTime(node: string, timeoutSec: number, missing: string): OramaError {
  return new OramaError(
    'TIMEOUT',
    `the TURN server of ${node} does not serve after ${timeoutSec} s; missing: ${missing}`,
    {
      hint: `it goes on; watch "orama turn status --node ${node}", and look into its log`,
      details: { missing },
    },
  );
}
