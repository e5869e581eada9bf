import { OramaError } from '@orama/core';
import type { SomeTurnSettings, TurnSettings, TurnSettingsChange, TurnSettingsChanged } from '@orama/protocol';
import { auditStatement, guard, raiseChangeCounter, type WebrtcConfigRow } from '@orama/store';
import { type OperationContext, requireNamespace, retryOnConflict } from './context.ts';

/** The TURN settings of a row, and nothing else of it. */
export function turnSettingsOf(row: WebrtcConfigRow): TurnSettings {
  const { peerPolicy, maxAllocations, maxAllocationsPerUsername, bytesPerSec, allocationBytesPerSec } = row;
  return { peerPolicy, maxAllocations, maxAllocationsPerUsername, bytesPerSec, allocationBytesPerSec };
}

/** Settings of a namespace that asks for nothing else. `relayPorts` is what it has on a node. */
export function defaultTurnSettings(relayPorts: number): TurnSettings {
  return {
    peerPolicy: 'sfu',
    maxAllocations: relayPorts,
    maxAllocationsPerUsername: shareOfUsername(relayPorts),
    bytesPerSec: null,
    allocationBytesPerSec: null,
  };
}

/** What one username may have unless it was said. */
function shareOfUsername(maxAllocations: number): number {
  return Math.ceil(maxAllocations / 2);
}

/**
 * `settings` with the changes that are given, null being the default. A username's share that is the default goes with
 * `maxAllocations`. Throws INVALID_REQUEST naming the field that cannot be.
 */
export function mergeTurnSettings(settings: TurnSettings, change: SomeTurnSettings, relayPorts: number): TurnSettings {
  const defaults: TurnSettings = defaultTurnSettings(relayPorts);
  const given = Object.entries(change).filter(([name, value]) => name in settings && value !== undefined);
  const changes = given.map(([name, value]) => [name, value ?? defaults[name as keyof TurnSettings]]);
  const merged: TurnSettings = { ...settings, ...Object.fromEntries(changes) };
  const { maxAllocationsPerUsername: asked } = change;
  const isDefault = settings.maxAllocationsPerUsername === shareOfUsername(settings.maxAllocations);
  if (asked === null || (asked === undefined && isDefault))
    merged.maxAllocationsPerUsername = shareOfUsername(merged.maxAllocations);
  if (merged.maxAllocations > relayPorts) {
    throw new OramaError(
      'INVALID_REQUEST',
      `maxAllocations is ${merged.maxAllocations}, but a namespace has ${relayPorts} relay ports on a node; nothing was changed`,
      { hint: `use at most ${relayPorts}, or raise ports.turnRelayBlock of the controlplanes before enabling WebRTC` },
    );
  }
  if (merged.maxAllocationsPerUsername > merged.maxAllocations) {
    throw new OramaError(
      'INVALID_REQUEST',
      `maxAllocationsPerUsername is ${merged.maxAllocationsPerUsername}, but maxAllocations, which it is a part of, is ${merged.maxAllocations}; nothing was changed`,
      { hint: 'give both, the first one not above the second' },
    );
  }
  return merged;
}

/** Names of the settings in which two differ. */
export function changedSettings(before: TurnSettings, after: TurnSettings): (keyof TurnSettings)[] {
  return (Object.keys(after) as (keyof TurnSettings)[]).filter((name) => after[name] !== before[name]);
}

/**
 * Changes the TURN settings of a namespace in one batch with the next generation; every node takes them up with its next
 * run. Calls go on: only what the new settings forbid ends. Nothing is written when nothing changes.
 * Throws NAMESPACE_NOT_FOUND, WEBRTC_NOT_ENABLED, NAMESPACE_BUSY, INVALID_REQUEST.
 */
export function changeTurnSettings(
  context: OperationContext,
  name: string,
  { requestedBy, ...change }: TurnSettingsChange,
): Promise<TurnSettingsChanged> {
  return retryOnConflict(`changing the settings of ${name}`, () => attempt(context, name, change, requestedBy));
}

async function attempt(
  { store, clock }: OperationContext,
  name: string,
  change: Omit<TurnSettingsChange, 'requestedBy'>,
  requestedBy: string,
): Promise<TurnSettingsChanged> {
  const { webrtcGeneration } = await requireNamespace(store, name);
  const row = await store.webrtc.get(name);
  if (!row) {
    throw new OramaError('WEBRTC_NOT_ENABLED', `WebRTC is not enabled for "${name}"; nothing was changed`, {
      hint: `orama namespace enable webrtc --namespace ${name} takes the same options`,
    });
  }
  if (row.state !== 'enabled') {
    throw new OramaError('NAMESPACE_BUSY', `WebRTC of "${name}" is ${row.state}; nothing was changed`, {
      retryable: true,
      hint: `wait until that is done: orama namespace webrtc-status --namespace ${name}`,
    });
  }
  const before = turnSettingsOf(row);
  const settings = mergeTurnSettings(before, change, await relayPortsOf(store, name));
  const changed = changedSettings(before, settings);
  if (changed.length === 0) {
    const message = `"${name}" has these settings already; nothing was changed`;
    return { outcome: 'unchanged', message, settings, generation: row.generation };
  }
  const generation = Math.max(row.generation, webrtcGeneration) + 1;
  await store.db.batch([
    ...guard(
      'settings unchanged',
      `EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ? AND state = 'enabled')`,
      [name, row.generation],
    ),
    store.namespaces.setWebrtcGeneration(name, generation),
    store.webrtc.setTurn(name, generation, settings),
    auditStatement({
      atMs: clock.now(),
      actor: requestedBy,
      action: 'set-webrtc',
      namespace: name,
      result: changed.map((setting) => `${setting}=${settings[setting] ?? 'none'}`).join(' '),
    }),
    raiseChangeCounter,
  ]);
  return { outcome: 'changed', message: `changed ${changed.join(', ')} of "${name}"`, settings, generation };
}

/** Relay ports that the namespace has on each of its TURN nodes. */
export async function relayPortsOf(store: OperationContext['store'], name: string): Promise<number> {
  const blocks = (await store.ports.listOf(name)).flatMap((block) =>
    block.service === 'turn' ? [block.relayPortEnd - block.relayPortStart + 1] : [],
  );
  return Math.min(...blocks);
}
