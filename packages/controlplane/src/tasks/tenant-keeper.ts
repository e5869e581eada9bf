import { toOramaError, turnTenantDigest } from '@orama/core';
import {
  type ControlplaneConfig,
  type TurnTenant,
  type TurnTenantStatus,
  turnTenantStatusSchema,
} from '@orama/protocol';
import { z } from 'zod';
import { turnSocketOf } from '../node-context.ts';
import type { Action } from '../reconcile/task.ts';
import { callTurn } from '../turn-control.ts';

export type TurnAction = Action & { kind: 'turn-attach' | 'turn-detach' | 'turn-clean'; tenant?: TurnTenant };

/** What the TURN server has; `down` when there certainly is no server, `unknown` when it could not be asked. */
export type ObservedTenants = ReadonlyMap<string, TurnTenantStatus> | 'down' | 'unknown';

/** What puts tenants onto this node's TURN server, and takes them off again. Exactly one does. */
export interface TenantKeeper {
  /** What to do so that the server has exactly the wanted tenants. Changes nothing. */
  plan(wanted: readonly TurnTenant[], observed: ObservedTenants): Promise<TurnAction[]>;
  apply(action: TurnAction): Promise<void>;
  /** Namespaces that this node still has something of, beside what the server has. */
  remains(): Promise<ReadonlySet<string>>;
  /** Why a wanted tenant is not attached, where more is known than that. */
  reason(namespace: string): string | null;
}

/** The controlplane itself attaches and detaches, on the server's control socket. */
export class TenantsBySocket implements TenantKeeper {
  readonly #config: ControlplaneConfig;

  constructor(config: ControlplaneConfig) {
    this.#config = config;
  }

  async plan(wanted: readonly TurnTenant[], observed: ObservedTenants): Promise<TurnAction[]> {
    return planTurnTenants(wanted, observed);
  }

  async apply({ kind, subject, tenant }: TurnAction): Promise<void> {
    if (kind === 'turn-detach') return detach(this.#config, subject);
    await callTurn(turnSocketOf(this.#config), turnTenantStatusSchema, 'PUT', `/tenants/${subject}`, tenant);
  }

  async remains(): Promise<ReadonlySet<string>> {
    return new Set();
  }

  reason(): null {
    return null;
  }
}

/** What to attach and detach so that the server has exactly the wanted tenants. Pure; nothing without a server that answers. */
export function planTurnTenants(wanted: readonly TurnTenant[], observed: ObservedTenants): TurnAction[] {
  if (observed === 'unknown' || observed === 'down') return [];
  const actions = detachUnwanted(wanted, observed);
  for (const tenant of wanted) {
    const has = observed.get(tenant.namespace);
    if (has?.digest === turnTenantDigest(tenant)) continue;
    const reason = has ? SETTINGS_CHANGED : DESIRED_HERE;
    actions.push({ kind: 'turn-attach', subject: tenant.namespace, reason, tenant });
  }
  return actions;
}

export const SETTINGS_CHANGED = 'its settings changed';
export const DESIRED_HERE = 'desired here';
export const NOT_DESIRED = 'not desired here';

/** Detaches what the server has and nobody wants. */
export function detachUnwanted(
  wanted: readonly TurnTenant[],
  observed: ReadonlyMap<string, TurnTenantStatus>,
): TurnAction[] {
  const names = new Set(wanted.map(({ namespace }) => namespace));
  return [...observed.keys()].flatMap((subject) =>
    names.has(subject) ? [] : [{ kind: 'turn-detach' as const, subject, reason: NOT_DESIRED }],
  );
}

/** Takes a tenant off the server, unless it is gone already. */
export async function detach(config: ControlplaneConfig, namespace: string): Promise<void> {
  await callTurn(turnSocketOf(config), z.undefined(), 'DELETE', `/tenants/${namespace}`).catch((thrown: unknown) => {
    if (toOramaError(thrown).code !== 'NAMESPACE_NOT_FOUND') throw thrown;
  });
}
