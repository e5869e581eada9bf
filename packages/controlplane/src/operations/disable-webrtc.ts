import { newId } from '@orama/core';
import type { OperationStarted } from '@orama/protocol';
import { auditStatement, guard, type OperationKind, raiseChangeCounter, StoreConflictError } from '@orama/store';
import { toOperation } from '../api/views.ts';
import { type OperationContext, requireNamespace, retryOnConflict } from './context.ts';
import { stepTargets } from './progress.ts';

/**
 * Begins to disable WebRTC: from the batch on nothing of it is desired, and the nodes take it down. Port blocks and rows
 * stay until every node has confirmed that its part is gone. An enable that still runs is ended by it. Nothing is
 * changed when WebRTC is off already; a disable that runs is handed back.
 * Throws NAMESPACE_NOT_FOUND.
 */
export function disableWebrtc(
  context: OperationContext,
  name: string,
  requestedBy = 'operator',
): Promise<OperationStarted> {
  return retryOnConflict(`disabling WebRTC for ${name}`, () => attemptDisable(context, name, requestedBy));
}

const DOING: Partial<Record<OperationKind, string>> = {
  'enable-webrtc': 'it was being enabled',
  'disable-webrtc': 'it was being disabled',
  'rotate-secret': 'its TURN secret was being rotated',
};

async function attemptDisable(
  { store, clock, failpoints }: OperationContext,
  name: string,
  requestedBy: string,
): Promise<OperationStarted> {
  await requireNamespace(store, name);
  const settings = await store.webrtc.get(name);
  const running = await store.operations.runningOf(name);
  if (!settings) {
    return {
      operation: null,
      outcome: 'unchanged',
      message: `WebRTC is not enabled for "${name}"; nothing was changed`,
    };
  }
  if (settings.state === 'disabling') {
    // The operation may have ended between the two reads.
    if (!running) throw new StoreConflictError(`WebRTC of "${name}" changed while it was read`, true, undefined);
    return {
      operation: toOperation(running),
      outcome: 'resumed',
      message: `WebRTC of "${name}" is already being disabled`,
    };
  }

  const { generation } = settings;
  const nowMs = clock.now();
  const id = newId('op');
  const steps = stepTargets(await store.ports.listTakenBy(name));
  failpoints.hit('disable:before-commit');
  await store.db.batch([
    ...guard(
      'still enabled',
      'EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND enabled = 1)',
      [name, generation],
    ),
    ...(running
      ? [
          store.operations.finish(running.id, 'failed', nowMs, {
            code: 'CONFLICT',
            message: `WebRTC was disabled while ${DOING[running.kind]}`,
          }),
        ]
      : []),
    store.webrtc.markDisabling(name, generation, nowMs),
    store.operations.insert({
      id,
      kind: 'disable-webrtc',
      namespace: name,
      generation,
      requestedBy,
      createdAtMs: nowMs,
    }),
    ...steps.map((step, position) => store.operations.insertStep(id, step.name, position)),
    auditStatement({ atMs: nowMs, actor: requestedBy, action: 'disable-webrtc', namespace: name, result: 'begun' }),
    raiseChangeCounter,
  ]);
  failpoints.hit('disable:after-commit');
  const operation = await store.operations.get(id);
  return {
    operation: operation && toOperation(operation),
    outcome: 'started',
    message: `disabling WebRTC for "${name}"`,
  };
}
