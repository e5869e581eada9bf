import type { ControlplaneClient } from '@orama/controlplane/client';
import { describeError, OramaError, toOramaError } from '@orama/core';
import { errorCodeSchema, type Operation } from '@orama/protocol';
import type { Progress } from './output/progress.ts';
import { pause } from './wait.ts';

const POLL_MS = 200;

/**
 * Follows an operation until it is done; every step that gets done is shown. The operation itself goes on without us.
 * Throws `TIMEOUT` naming the steps that are missing, or the operation's own error when it failed.
 */
export async function watchOperation(options: {
  client: ControlplaneClient;
  operation: Operation;
  timeoutSec: number;
  progress: Progress;
  signal: AbortSignal;
}): Promise<Operation> {
  const { client, progress, signal, timeoutSec } = options;
  const deadline = performance.now() + timeoutSec * 1000;
  const shown = new Set<string>();
  let operation = options.operation;
  for (;;) {
    for (const step of operation.steps) {
      if (step.state !== 'done' || shown.has(step.name)) continue;
      shown.add(step.name);
      progress.step(`${step.name}${elapsed(step)}`);
    }
    if (operation.state === 'done') return operation;
    const missing = missingSteps(operation);
    if (operation.state === 'failed') throw operationFailed(operation, missing);
    if (performance.now() >= deadline) {
      throw new OramaError('TIMEOUT', `not done after ${timeoutSec} s; missing: ${missing.join(', ')}`, {
        hint: `the operation goes on; watch it with "${statusCommand(operation)}", or run the same command again`,
        details: { operation: operation.id, missing },
      });
    }
    progress.update(missing.length === 0 ? 'finishing' : `waiting for ${missing.join(', ')}`);
    await pause(POLL_MS, signal);
    operation = await readOperation(client, operation, progress);
  }
}

/** What a step is and what it waits for, of every step that is not done. */
function missingSteps(operation: Operation): string[] {
  return operation.steps
    .filter((step) => step.state !== 'done')
    .map((step) => (step.detail ? `${step.name} (${step.detail})` : step.name));
}

// A controlplane that restarts meanwhile is no reason to give up: the deadline is.
async function readOperation(client: ControlplaneClient, last: Operation, progress: Progress): Promise<Operation> {
  try {
    return await client.operation(last.id);
  } catch (thrown) {
    if (!toOramaError(thrown).retryable) throw thrown;
    progress.update(`no controlplane answers at the moment: ${describeError(thrown)}`);
    return last;
  }
}

function operationFailed(operation: Operation, missing: string[]): OramaError {
  const code = errorCodeSchema.catch('INTERNAL').parse(operation.error?.code);
  return new OramaError(code, `${operation.error?.message ?? 'the operation failed'}; missing: ${missing.join(', ')}`, {
    hint: `see "${statusCommand(operation)}", then run the same command again`,
    details: { operation: operation.id, missing },
  });
}

function statusCommand({ namespace }: Operation): string {
  return namespace === null ? 'orama node list' : `orama namespace webrtc-status --namespace ${namespace}`;
}

function elapsed(step: Operation['steps'][number]): string {
  if (!step.startedAt || !step.finishedAt) return '';
  const ms = Date.parse(step.finishedAt) - Date.parse(step.startedAt);
  return Number.isFinite(ms) ? ` (${(ms / 1000).toFixed(1)} s)` : '';
}
