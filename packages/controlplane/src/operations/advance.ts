import { guard, type OperationRow, type Statement, type Store, type WebrtcConfigRow } from '@orama/store';
import type { StepProgress } from './progress.ts';

/** How far an operation is, and what takes it further. */
export interface Advance {
  progress: readonly StepProgress[];
  /** Written in one batch while the operation still runs; null while something is waited for. */
  next: { statements: Statement[]; ends: boolean } | null;
}

/** An operation about a namespace. */
type NamespaceOperation = OperationRow & { namespace: string };

/** Until a rotation is done, the former secret stays valid so much longer than a credential: an SFU may be late. */
const ROTATION_MARGIN_MS = 60_000;
/** What a credential may be older than the moment at which the last server took the new secret up. */
const IN_FLIGHT_MS = 1_000;

/** The next thing to write for a running operation. Pure. */
export function advanceOf(
  store: Store,
  operation: NamespaceOperation,
  settings: WebrtcConfigRow | null,
  progress: readonly StepProgress[],
  nowMs: number,
): Advance {
  const { namespace, generation, kind } = operation;
  if (kind === 'rotate-secret') return advanceRotation(store, operation, settings, progress, nowMs);
  if (!isDone(progress)) return { progress, next: null };
  const enabling = kind === 'enable-webrtc';
  const stillSo = guard(
    'settings unchanged',
    'EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND state = ?)',
    [namespace, generation, enabling ? 'enabling' : 'disabling'],
  );
  const outcome = enabling
    ? [store.webrtc.markEnabled(namespace, generation)]
    : [
        ...store.dns.replaceOf(namespace, []),
        store.rooms.removeOf(namespace),
        store.reports.removeOf(namespace),
        store.ports.removeOf(namespace),
        store.webrtc.remove(namespace, generation),
      ];
  return { progress, next: { statements: [...stillSo, ...outcome], ends: true } };
}

/**
 * Credentials are made of the new secret from the moment on at which all TURN servers know it, so that none is ever
 * refused; the former makes allocations for one credential life from the moment on at which no SFU makes any of it.
 */
function advanceRotation(
  store: Store,
  { id, namespace }: NamespaceOperation,
  settings: WebrtcConfigRow | null,
  progress: readonly StepProgress[],
  nowMs: number,
): Advance {
  if (!settings) return { progress, next: null };
  const lifeMs = settings.turnCredentialTtlSec * 1000;
  const ofService = (service: string) => progress.filter(({ name }) => name.startsWith(`${service}:`));
  if (settings.nextTurnSharedSecret !== null) {
    const verifiers = ofService('turn');
    if (!isDone(verifiers)) return { progress: verifiers, next: null };
    const generation = settings.generation + 1;
    const statements = [
      ...guard(
        'the same secret is announced',
        `EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND next_turn_shared_secret IS NOT NULL)`,
        [namespace, settings.generation],
      ),
      store.namespaces.setWebrtcGeneration(namespace, generation),
      store.webrtc.switchSecret(settings, generation, nowMs + lifeMs + ROTATION_MARGIN_MS),
      store.operations.setGeneration(id, generation),
    ];
    return { progress: verifiers, next: { statements, ends: false } };
  }
  const makers = ofService('sfu');
  if (!isDone(makers)) return { progress: makers, next: null };
  const statements = [store.webrtc.setFormerSecretEnd(namespace, nowMs + lifeMs + IN_FLIGHT_MS)];
  return { progress: makers, next: { statements, ends: true } };
}

function isDone(progress: readonly StepProgress[]): boolean {
  return progress.every((step) => step.state === 'done');
}
