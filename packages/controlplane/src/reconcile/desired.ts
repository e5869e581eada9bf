import type { SecretBox } from '@orama/core';
import { type ControlplaneConfig, turnUrisOf } from '@orama/protocol';
import {
  type PortAllocationRow,
  type SfuAllocationRow,
  type TakenBlockRow,
  type TurnAllocationRow,
  type TurnServerRows,
  turnServersOf,
  type WebrtcConfigRow,
} from '@orama/store';

/** A namespace's WebRTC as the store has it. */
export interface DesiredNamespace {
  config: WebrtcConfigRow;
  /** False once a disable has begun: nothing of it is wanted any more. */
  wanted: boolean;
  sfu: SfuAllocationRow[];
  turn: TurnAllocationRow[];
  /** Blocks whose services are to end: they were moved to other nodes, and their nodes have not confirmed it yet. */
  leaving: PortAllocationRow[];
}

/** Everything that is desired, by namespace. Namespaces without a settings row want nothing and are not in it. */
export type Desired = ReadonlyMap<string, DesiredNamespace>;

export function joinDesired(configs: readonly WebrtcConfigRow[], allocations: readonly TakenBlockRow[]): Desired {
  const desired = new Map<string, DesiredNamespace>(
    configs.map((config) => [
      config.namespace,
      { config, wanted: config.state !== 'disabling', sfu: [], turn: [], leaving: [] },
    ]),
  );
  for (const { leavingSinceMs, ...row } of allocations) {
    const namespace = desired.get(row.namespace);
    if (leavingSinceMs !== null) namespace?.leaving.push(row);
    else if (row.service === 'sfu') namespace?.sfu.push(row);
    else namespace?.turn.push(row);
  }
  return desired;
}

/** The TURN URIs that clients of a namespace get now. Pure. */
export function namespaceTurnUris(
  { turn, baseDomain }: Pick<ControlplaneConfig, 'turn' | 'baseDomain'>,
  namespace: string,
  rows: TurnServerRows,
): string[] {
  const servers = turnServersOf(namespace, rows);
  const { advertise, port443 } = turn;
  return turnUrisOf({ advertise, namespace, baseDomain, port443, servers });
}

/** The TURN secrets of a namespace, opened. */
export interface TurnSecrets {
  /** Credentials are made of it. */
  current: string;
  /** Those that make allocations: the current one first, then the one that takes over, or the one before in its last life. */
  valid: string[];
  /** Those that make none any more, but whose calls go on. Newest first. */
  retired: string[];
}

/**
 * The TURN secrets of a namespace. Null when those that are valid cannot be opened with this cluster key: then nothing of
 * the namespace is started, changed or stopped.
 */
export function openTurnSecrets(
  { namespace, ...config }: WebrtcConfigRow,
  secrets: SecretBox,
  nowMs: number,
): TurnSecrets | null {
  const open = (sealed: string) => {
    try {
      return secrets.open(sealed, namespace);
    } catch {
      return null;
    }
  };
  const current = open(config.turnSharedSecret);
  if (current === null) return null;
  const former = config.previousTurnSharedSecret;
  const formerIsValid = former !== null && (config.previousSecretExpiresAtMs ?? 0) > nowMs;
  const second = config.nextTurnSharedSecret ?? (formerIsValid ? former : null);
  const opened = second === null ? [] : [open(second)];
  if (opened.includes(null)) return null;
  const others = [former, ...config.retiredTurnSharedSecrets].filter((each) => each !== null && each !== second);
  const retired = others.map((sealed) => open(sealed as string));
  const known = (secret: string | null) => secret !== null;
  return { current, valid: [current, ...opened].filter(known), retired: retired.filter(known) };
}
