import type { LeaseView, NodePlan } from '@orama/protocol';
import type { OperationContext } from '../operations/context.ts';
import type { TaskPlan } from '../reconcile/engine.ts';
import { forward, type PeerOf } from './forward.ts';
import type { Route } from './route.ts';

export interface ReconcileRouteOptions {
  /** What each task of this node would do now. */
  plans: () => Promise<TaskPlan[]>;
  peer: PeerOf;
}

/** Who may do what only one node may do, and what this node's tasks, or those of any node, would do now. */
export function reconcileRoutes({ plans, peer }: ReconcileRouteOptions): Route[] {
  return [
    [
      'GET',
      /^\/leases$/,
      async ({ context }) => ({ status: 200, body: { leases: await listLeases(context) } }),
      'viewer',
    ],
    [
      'GET',
      /^\/plan$/,
      async ({ context }) => ({ status: 200, body: toNodePlan(context.config.node, await plans()) }),
      'viewer',
    ],
    ['GET', /^\/nodes\/([^/]+)(\/plan)$/, (call) => forward(call, 'GET', peer), 'viewer'],
  ];
}

async function listLeases({ store }: OperationContext): Promise<LeaseView[]> {
  const leases = await store.leases.list();
  return leases.map(({ name, holder, generation, sinceMs }) => ({
    name,
    holder,
    generation,
    since: new Date(sinceMs).toISOString(),
  }));
}

function toNodePlan(node: string, plans: readonly TaskPlan[]): NodePlan {
  return { node, tasks: plans.map(({ error, ...plan }) => ({ ...plan, ...(error !== null && { error }) })) };
}
