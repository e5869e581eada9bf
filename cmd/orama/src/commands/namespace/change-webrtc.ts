import type { ControlplaneClient } from '@orama/controlplane/client';
import { toOramaError } from '@orama/core';
import { EXIT, type Operation, type OperationStarted, type WebrtcStatus } from '@orama/protocol';
import { connect } from '../../cluster.ts';
import type { Context } from '../../context.ts';
import { Interrupted, withInterrupt } from '../../interrupt.ts';
import type { Progress } from '../../output/progress.ts';
import { pause } from '../../wait.ts';
import { watchOperation } from '../../watch-operation.ts';

/** Result of enable and disable with `--json`. */
interface Changed {
  outcome: OperationStarted['outcome'];
  message: string;
  operation: Operation | null;
  status: WebrtcStatus;
}

/**
 * Begins a change of a namespace, watches it to its end with progress, and shows the result. Ctrl-C ends the watching
 * only. Throws what the controlplane refuses, and `TIMEOUT` naming what is missing.
 */
export async function changeWebrtc(
  context: Context,
  change: {
    namespace: string;
    timeoutSec: number;
    /** `enabling WebRTC`. */
    doing: string;
    begin: (client: ControlplaneClient) => Promise<OperationStarted>;
    describe: (changed: Changed) => string;
  },
): Promise<void> {
  const { namespace, timeoutSec, doing } = change;
  const client = connect(context);
  const progress = await context.output.progress(`${doing} for namespace ${namespace}`);
  let started: OperationStarted | undefined;
  try {
    const done = await withInterrupt(async (signal) => {
      const beginUntil = performance.now() + timeoutSec * 1000;
      started = await beginWhenReady(() => change.begin(client), beginUntil, progress, signal);
      const { outcome, message } = started;
      const operation = started.operation
        ? await watchOperation({ client, operation: started.operation, timeoutSec, progress, signal })
        : null;
      return { outcome, message, operation, status: await client.webrtcStatus(namespace) };
    });
    progress.stop();
    context.output.result(done, () => change.describe(done));
  } catch (thrown) {
    progress.stop();
    if (!(thrown instanceof Interrupted)) throw thrown;
    const message = `no longer watching, but ${doing} goes on: see "orama namespace webrtc-status --namespace ${namespace}", or run the same command again`;
    context.output.result({ outcome: 'interrupted', message, operation: started?.operation ?? null }, () => message);
    process.exitCode = EXIT.failed;
  }
}

/** Refusals of a cluster that is still coming up; nothing was changed then. */
const NOT_YET = new Set(['CORE_NOT_READY', 'STORE_UNAVAILABLE']);
const RETRY_MS = 250;

/** Begins as soon as the cluster is ready for it. Throws its refusal when it is not by `deadlineMs`. */
async function beginWhenReady(
  begin: () => Promise<OperationStarted>,
  deadlineMs: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<OperationStarted> {
  for (;;) {
    try {
      return await begin();
    } catch (thrown) {
      const { code, message } = toOramaError(thrown);
      if (!NOT_YET.has(code) || performance.now() >= deadlineMs) throw thrown;
      progress.update(`waiting for the cluster: ${message}`);
    }
    await pause(RETRY_MS, signal);
  }
}
