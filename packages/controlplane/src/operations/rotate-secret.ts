import { randomBytes } from 'node:crypto';
import { newId, OramaError } from '@orama/core';
import type { OperationStarted, RotateSecret } from '@orama/protocol';
import { auditStatement, guard, raiseChangeCounter, type WebrtcConfigRow } from '@orama/store';
import { toOperation } from '../api/views.ts';
import { type OperationContext, requireNamespace, retryOnConflict } from './context.ts';
import { stepTargets } from './progress.ts';

/**
 * Begins to give a namespace another TURN secret while calls go on: its TURN servers learn the new one, then credentials
 * are made of it, and the former makes allocations for one more credential life. A rotation that runs is handed back.
 * Throws NAMESPACE_NOT_FOUND, WEBRTC_NOT_ENABLED, NAMESPACE_BUSY, and CONFLICT while credentials of an earlier rotation
 * are valid, which another one would refuse, unless it is forced.
 */
export function rotateSecret(
  context: OperationContext,
  name: string,
  request: RotateSecret,
): Promise<OperationStarted> {
  return retryOnConflict(`rotating the TURN secret of ${name}`, () => attempt(context, name, request));
}

async function attempt(
  { store, clock, secrets }: OperationContext,
  name: string,
  { force, requestedBy }: RotateSecret,
): Promise<OperationStarted> {
  const { webrtcGeneration } = await requireNamespace(store, name);
  const settings = await store.webrtc.get(name);
  if (!settings) {
    throw new OramaError('WEBRTC_NOT_ENABLED', `WebRTC is not enabled for "${name}"; nothing was changed`, {
      hint: `orama namespace enable webrtc --namespace ${name} makes a secret`,
    });
  }
  const running = await store.operations.runningOf(name);
  if (running?.kind === 'rotate-secret' && settings.state === 'enabled') {
    return {
      operation: toOperation(running),
      outcome: 'resumed',
      message: `the TURN secret of "${name}" is already being rotated`,
    };
  }
  if (settings.state !== 'enabled' || running) {
    throw new OramaError('NAMESPACE_BUSY', `WebRTC of "${name}" is ${settings.state}; nothing was changed`, {
      retryable: true,
      hint: `wait until that is done: orama namespace webrtc-status --namespace ${name}`,
    });
  }
  const nowMs = clock.now();
  if (!force) requireFormerEnded(settings, nowMs);
  const generation = Math.max(settings.generation, webrtcGeneration) + 1;
  const id = newId('op');
  const steps = stepTargets(await store.ports.listOf(name)).filter(({ service }) => ROTATED.has(service));
  await store.db.batch([
    ...guard(
      'settings unchanged',
      `EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND state = 'enabled')`,
      [name, settings.generation],
    ),
    store.namespaces.setWebrtcGeneration(name, generation),
    store.webrtc.announceSecret(name, generation, secrets.seal(randomBytes(32).toString('base64url'), name), nowMs),
    store.operations.insert({
      id,
      kind: 'rotate-secret',
      namespace: name,
      generation,
      requestedBy,
      createdAtMs: nowMs,
    }),
    ...steps.map((step, position) => store.operations.insertStep(id, step.name, position)),
    auditStatement({ atMs: nowMs, actor: requestedBy, action: 'rotate-secret', namespace: name, result: 'begun' }),
    raiseChangeCounter,
  ]);
  const operation = await store.operations.get(id);
  return {
    operation: operation && toOperation(operation),
    outcome: 'started',
    message: `rotating the TURN secret of "${name}"`,
  };
}

/** Services that have to know the new secret: TURN servers verify with it, SFUs make credentials of it. */
const ROTATED: ReadonlySet<string> = new Set(['turn', 'sfu']);

function requireFormerEnded({ namespace, ...settings }: WebrtcConfigRow, nowMs: number): void {
  const endsAtMs = settings.previousTurnSharedSecret === null ? 0 : (settings.previousSecretExpiresAtMs ?? 0);
  if (endsAtMs <= nowMs) return;
  const until = new Date(endsAtMs).toISOString();
  throw new OramaError(
    'CONFLICT',
    `credentials of the secret before the last rotation of "${namespace}" are valid until ${until}, and would be refused from now on; nothing was changed`,
    {
      hint: `wait ${Math.ceil((endsAtMs - nowMs) / 1000)} s, or give --force: calls that were made with them go on either way`,
      details: { validUntil: until },
    },
  );
}
