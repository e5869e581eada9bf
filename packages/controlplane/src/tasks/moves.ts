import {
  auditStatement,
  guardLease,
  type Lease,
  type PortAllocationRow,
  raiseChangeCounter,
  type Statement,
  StoreConflictError,
} from '@orama/store';
import type { NodeContext } from '../node-context.ts';
import { planLeaves, serviceKey } from '../placement/leaves.ts';
import { type Move, moveStatements, planMoves } from '../placement/moves.ts';
import type { View } from '../reconcile/store-view.ts';
import type { Action, Task } from '../reconcile/task.ts';

type MoveAction = Action & { kind: 'move'; statements: Statement[]; result: string; namespace: string; lease: Lease };

/**
 * Gives services of nodes that are unreachable, drained or removed to others, one batch each. A drained node's services
 * end only once the others are healthy; those of an unreachable one are taken over at once, and end when it comes back.
 * Works on the node that holds the lease.
 */
export class MovesTask implements Task<MoveAction> {
  readonly name = 'moves';
  readonly #context: NodeContext;
  #settled: View | null = null;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  async plan(): Promise<MoveAction[]> {
    const { store, view, leases, config, clock } = this.#context;
    const lease = leases.held('placement');
    if (!lease) return [];
    const seen = await view.read();
    // Nothing was to be done, and nothing has changed.
    if (seen === this.#settled) return [];
    const { configs, allocations, desired } = seen;
    const [nodes, running] = await Promise.all([store.nodes.list(), store.operations.listRunning()]);
    // A drain goes by what the others report, and by its deadline.
    const drains = nodes.some(({ state }) => state === 'draining');
    const reports = drains ? await store.reports.list() : [];
    const nowMs = clock.now();
    const moves = planMoves({
      namespaces: configs.filter(({ state }) => state !== 'disabling'),
      nodes,
      allocations,
      ports: { ...config.ports, turnListenPort: config.turn.port, turnTlsPort: config.turn.tlsPort },
      nowMs,
    });
    const leaves = planLeaves({
      desired,
      nodes,
      reports,
      overdue: new Set(
        running.flatMap(({ nodeId, deadlineAtMs }) =>
          nodeId !== null && deadlineAtMs !== null && deadlineAtMs <= nowMs ? [nodeId] : [],
        ),
      ),
      awaited: new Set(moves.map(({ to }) => serviceKey(to))),
    });
    const gone = new Set(nodes.flatMap(({ id, state }) => (state === 'gone' ? [id] : [])));
    // Nobody is left to confirm that it ended.
    const reaped = allocations.filter(({ nodeId, leavingSinceMs }) => leavingSinceMs !== null && gone.has(nodeId));
    const isServing = (row: PortAllocationRow) =>
      nodes.some(({ id, state, reachable }) => id === row.nodeId && state === 'draining' && reachable);
    const actions = [
      ...moves.map((move) => this.#take(move, move.from !== null && isServing(move.from), lease)),
      ...leaves.map((row) =>
        this.#action(lease, row, `left ${row.nodeId}`, 'others carry it on', [store.ports.leave(row, nowMs)]),
      ),
      ...reaped.map((row) =>
        this.#action(lease, row, `free on ${row.nodeId}`, 'its node was removed', [
          ...store.ports.release(row),
          ...(row.service === 'sfu' ? store.rooms.forgetNode(row.nodeId, row.namespace) : []),
        ]),
      ),
    ];
    this.#settled = actions.length === 0 && !drains ? seen : null;
    return actions;
  }

  async apply({ lease, statements, namespace, result }: MoveAction): Promise<void> {
    const { store, leases, clock } = this.#context;
    const entry = { atMs: clock.now(), actor: 'controlplane', action: 'move', namespace, result };
    try {
      await store.db.batch([...guardLease(lease), ...statements, auditStatement(entry), raiseChangeCounter]);
    } catch (thrown) {
      if (thrown instanceof StoreConflictError) leases.lost('placement');
      throw thrown;
    }
  }

  async report(): Promise<null> {
    return null;
  }

  /** @param first whether the former node serves until the other one does */
  #take(move: Move, first: boolean, lease: Lease): MoveAction {
    const { to, from } = move;
    const added = first || !from ? { from: null, to } : move;
    const way = added.from ? `${added.from.nodeId} to ${to.nodeId}` : `also on ${to.nodeId}`;
    const reason = from ? `${from.nodeId} may not keep it` : 'fewer nodes than asked for';
    return this.#action(lease, to, way, reason, moveStatements(this.#context.store, added));
  }

  #action(
    lease: Lease,
    { service, namespace }: PortAllocationRow,
    way: string,
    reason: string,
    statements: Statement[],
  ): MoveAction {
    const result = `${service} ${way}`;
    return { kind: 'move', subject: `${namespace}: ${result}`, reason, statements, result, namespace, lease };
  }
}
