import { describeError } from '@orama/core';
import {
  type TurnCertificateStatus,
  type TurnTenant,
  turnDomain,
  turnServerStatusSchema,
  turnTenantListSchema,
} from '@orama/protocol';
import type { PortAllocationRow } from '@orama/store';
import { type NodeContext, turnSocketOf } from '../node-context.ts';
import { type Desired, openTurnSecrets } from '../reconcile/desired.ts';
import { releaseBlocks } from '../reconcile/release-blocks.ts';
import { type Observation, Reporter } from '../reconcile/reports.ts';
import type { Task } from '../reconcile/task.ts';
import { drainedReason, type HeldUnits } from '../services/held-units.ts';
import { type ServiceState, TURN_UNIT } from '../services/service-manager.ts';
import { callTurn, unlessUnknown } from '../turn-control.ts';
import type { CertificatesTask } from './certificates.ts';
import type { ObservedTenants, TenantKeeper, TurnAction } from './tenant-keeper.ts';
import { certificateFor } from './turn-certificate.ts';
import { turnTenantOf } from './turn-tenant.ts';

const RECHECK_MS = 150;

/** What is told of the certificates of a namespace here. */
type NamespaceCertificates = Pick<CertificatesTask, 'problemOf' | 'has'>;

/** Keeps the namespaces of this node attached to its TURN server, which remembers none of them over a restart. */
export class TurnTenantsTask implements Task<TurnAction> {
  readonly name = 'turn-tenants';
  readonly #context: NodeContext;
  readonly #held: HeldUnits;
  readonly #keeper: TenantKeeper;
  readonly #onDetached: () => void;
  readonly #certificates: NamespaceCertificates | null;
  readonly #reporter: Reporter;

  /**
   * @param onDetached told when a tenant has ended, whose last bytes are to be counted
   * @param certificates null where nobody gets any
   */
  constructor(
    context: NodeContext,
    keeper: TenantKeeper,
    held: HeldUnits,
    onDetached: () => void,
    certificates: NamespaceCertificates | null = null,
  ) {
    this.#context = context;
    this.#keeper = keeper;
    this.#held = held;
    this.#onDetached = onDetached;
    this.#certificates = certificates;
    this.#reporter = new Reporter(context.store);
  }

  async plan(): Promise<TurnAction[]> {
    const { config, store, view, secrets, clock } = this.#context;
    const { tenants } = await this.#observe();
    const wanted: TurnTenant[] = [];
    const unreadable = new Set<string>();
    const nodes = await store.nodes.list();
    for (const each of (await view.read()).here.values()) {
      const opened = openTurnSecrets(each.config, secrets, clock.now());
      const tenant = opened && turnTenantOf(config, each, opened, nodes, tenants !== 'down');
      if (tenant) wanted.push(tenant);
      if (!opened && each.wanted) unreadable.add(each.config.namespace);
    }
    const actions = await this.#keeper.plan(wanted, tenants);
    return actions.filter(({ subject }) => !unreadable.has(subject));
  }

  async apply(action: TurnAction): Promise<void> {
    await this.#keeper.apply(action);
    if (action.kind === 'turn-detach') this.#onDetached();
  }

  async report(): Promise<number | null> {
    const { config, store, view, clock } = this.#context;
    const { here } = await view.read();
    const [{ tenants, failure, certificates }, remains] = await Promise.all([this.#observe(), this.#keeper.remains()]);
    const observations = observationsOf(here, config.node, tenants, failure, {
      shown: (namespace) => {
        const shown = certificateFor(turnDomain(namespace, config.baseDomain), certificates);
        const problem = this.#certificates?.problemOf(namespace);
        return shown && { ...shown, ...(problem !== undefined && { problem }) };
      },
      remains: (namespace) => remains.has(namespace),
      certified: (namespace) => this.#certificates?.has(namespace) ?? false,
      reason: (namespace) => this.#keeper.reason(namespace),
    });
    await this.#reporter.write(observations, clock.now());
    await releaseBlocks(store, here, observations);
    const settled = observations.every((one) => (one.desired === 'running' ? one.healthy : one.observed === 'absent'));
    // A server that is not there yet, or drains, wakes this task when another is ready.
    return settled || failure !== '' ? null : RECHECK_MS;
  }

  async #observe(): Promise<{
    tenants: ObservedTenants;
    failure: string;
    certificates: readonly TurnCertificateStatus[];
  }> {
    const { config, services } = this.#context;
    const isUp = ({ unit, phase }: ServiceState) => unit === TURN_UNIT && phase !== 'ended';
    if (config.coreServices.includes('turn') && !(await services.list()).some(isUp)) {
      const failure = this.#held.has(TURN_UNIT)
        ? drainedReason(config.node, this.#held)
        : 'the TURN server is not running';
      return { tenants: 'down', failure, certificates: [] };
    }
    const socket = turnSocketOf(config);
    try {
      const { tenants } = await callTurn(socket, turnTenantListSchema, 'GET', '/tenants');
      // Engines that know neither drains nor certificates have no status.
      const status = await unlessUnknown(callTurn(socket, turnServerStatusSchema, 'GET', '/status'));
      return {
        tenants: new Map(tenants.map((tenant) => [tenant.namespace, tenant])),
        failure: status?.draining ? 'the TURN server drains' : '',
        certificates: status?.certificates ?? [],
      };
    } catch (thrown) {
      return { tenants: 'unknown', failure: describeError(thrown), certificates: [] };
    }
  }
}

/**
 * Reports of this node's part in each namespace. Pure.
 * @param failure why no tenant is healthy, whatever the server has; empty when nothing speaks against it
 * @param more the certificate that the server shows for a namespace, if it is known; whether the node has something of it
 *   beside the server, which has to go with it; whether a certificate of it is kept, which goes with the namespace or with the
 *   block; why it is not attached
 */
export function observationsOf(
  desired: Desired,
  nodeId: string,
  observed: ObservedTenants,
  failure: string,
  more: {
    shown?: (namespace: string) => object | undefined;
    remains?: (namespace: string) => boolean;
    certified?: (namespace: string) => boolean;
    reason?: (namespace: string) => string | null;
  } = {},
): Observation[] {
  return [...desired.values()].flatMap((each) => {
    const { config } = each;
    const isHere = (row: PortAllocationRow) => row.service === 'turn' && row.nodeId === nodeId;
    const wanted = each.wanted && each.turn.some(isHere);
    if (!each.turn.some(isHere) && !each.leaving.some(isHere)) return [];
    const tenant = typeof observed === 'string' ? undefined : observed.get(config.namespace);
    const certificate = more.shown?.(config.namespace);
    const isThere =
      tenant !== undefined ||
      (!wanted && more.remains?.(config.namespace) === true) ||
      (!each.wanted && more.certified?.(config.namespace) === true);
    const healthy = wanted && failure === '' && tenant !== undefined && tenant.generation === config.generation;
    return [
      {
        nodeId,
        namespace: config.namespace,
        service: 'turn',
        desired: wanted ? ('running' as const) : ('absent' as const),
        observed: observed === 'unknown' ? ('failed' as const) : isThere ? ('running' as const) : ('absent' as const),
        healthy,
        generation: config.generation,
        reason:
          healthy || !wanted ? null : failure || more.reason?.(config.namespace) || 'the tenant is not attached yet',
        details: { allocations: tenant?.allocations ?? 0, ...(certificate && { certificate }) },
      },
    ];
  });
}
