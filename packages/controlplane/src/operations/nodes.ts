import { newId, OramaError } from '@orama/core';
import type { DrainNode, NodeChanged, OperationStarted, RemoveNode } from '@orama/protocol';
import { auditStatement, guard, type NodeRow, type NodeState, raiseChangeCounter, type Statement } from '@orama/store';
import { toOperation } from '../api/views.ts';
import { type OperationContext, retryOnConflict } from './context.ts';
import { leavingStep, TURN_SERVER_STEP } from './drain-progress.ts';

/**
 * Begins to take everything off a node: nothing is placed there any more, what runs there is taken over by other nodes
 * first and ends then, its TURN server at the deadline at the latest. A drain that runs is handed back, with the nearer
 * deadline of both; one that is over changes nothing. Throws NOT_FOUND, CONFLICT for a node that was removed, and
 * NOT_ENOUGH_NODES naming the services that no other node could carry on.
 */
export function drainNode(context: OperationContext, id: string, request: DrainNode): Promise<OperationStarted> {
  return retryOnConflict(`draining ${id}`, () => attemptDrain(context, id, request));
}

async function attemptDrain(
  context: OperationContext,
  id: string,
  { deadlineMs, requestedBy }: DrainNode,
): Promise<OperationStarted> {
  const { store, clock } = context;
  const node = await requireNode(context, id);
  const nowMs = clock.now();
  const deadlineAtMs = nowMs + deadlineMs;
  if (node.state === 'gone') throw removed(context, id);
  const blocks = (await store.ports.listTaken()).filter((row) => row.nodeId === id);
  if (node.state === 'draining') {
    const running = await store.operations.runningOfNode(id);
    if (!running && blocks.length === 0)
      return { operation: null, outcome: 'unchanged', message: `${id} is drained already; nothing was changed` };
    if (running) {
      await store.db.batch([store.operations.setDeadline(running.id, deadlineAtMs), raiseChangeCounter]);
      const operation = await store.operations.get(running.id);
      return {
        operation: operation && toOperation(operation),
        outcome: 'resumed',
        message: `${id} is already being drained`,
      };
    }
  }
  await requireOthers(context, id);
  const operationId = newId('op');
  const steps = [...blocks.map(leavingStep), TURN_SERVER_STEP];
  await store.db.batch([
    ...stillIs(node),
    // Another operator may drain the last of the others at the same moment.
    ...(blocks.length > 0 ? guard('another node takes part', ANOTHER_TAKES_PART, [id]) : []),
    // And an enable may have taken a block here, which would have no step.
    ...guard('no other block here', '(SELECT COUNT(*) FROM webrtc_port_allocations WHERE node_id = ?) <= ?', [
      id,
      blocks.length,
    ]),
    store.nodes.setState(id, 'draining'),
    store.operations.insert({
      id: operationId,
      kind: 'drain-node',
      nodeId: id,
      deadlineAtMs,
      requestedBy,
      createdAtMs: nowMs,
    }),
    ...steps.map((step, position) => store.operations.insertStep(operationId, step, position)),
    audit(nowMs, requestedBy, 'drain-node', id),
    raiseChangeCounter,
  ]);
  const operation = await store.operations.get(operationId);
  return { operation: operation && toOperation(operation), outcome: 'started', message: `draining ${id}` };
}

/** Lets a node take part again after a drain, whether it is over or not. Throws NOT_FOUND, CONFLICT. */
export function resumeNode(context: OperationContext, id: string, requestedBy: string): Promise<NodeChanged> {
  return retryOnConflict(`resuming ${id}`, async () => {
    const node = await requireNode(context, id);
    if (node.state === 'gone') throw removed(context, id);
    if (node.state === 'active') return unchanged(`${id} takes part already; nothing was changed`);
    const running = await context.store.operations.runningOfNode(id);
    const over = { code: 'CONFLICT', message: 'the node was resumed before it was drained' };
    await change(context, node, 'active', { requestedBy, action: 'resume-node' }, [
      ...(running ? [context.store.operations.finish(running.id, 'failed', context.clock.now(), over)] : []),
    ]);
    return { outcome: 'changed', message: `${id} takes part again` };
  });
}

/**
 * Lets a node that was removed take part again, as it is. Throws NOT_FOUND, and CONFLICT for one that is being drained, or
 * that has to join anew because it lost its copy of the store.
 */
export function readmitNode(context: OperationContext, id: string, requestedBy: string): Promise<NodeChanged> {
  return retryOnConflict(`readmitting ${id}`, async () => {
    const node = await requireNode(context, id);
    if (node.state === 'active') return unchanged(`${id} takes part already; nothing was changed`);
    if (node.state === 'draining') {
      throw new OramaError('CONFLICT', `${id} is drained; nothing was changed`, { hint: `orama node resume ${id}` });
    }
    if (hasToJoinAnew(context)) {
      throw new OramaError('CONFLICT', `the store has no copy on ${id} any more; nothing was changed`, {
        hint: JOIN_ANEW,
      });
    }
    await change(context, node, 'active', { requestedBy, action: 'readmit-node' });
    return { outcome: 'changed', message: `${id} takes part` };
  });
}

/**
 * Takes a node out of the cluster for good: one that was drained, or, by force, one that is unreachable and will never
 * come back; what it had is then free without its word. Throws NOT_FOUND, and CONFLICT naming what is on it.
 */
export function removeNode(
  context: OperationContext,
  id: string,
  { force, requestedBy }: RemoveNode,
): Promise<NodeChanged> {
  return retryOnConflict(`removing ${id}`, async () => {
    const { store } = context;
    const node = await requireNode(context, id);
    if (node.state === 'gone') return unchanged(`${id} was removed already; nothing was changed`);
    const blocks = (await store.ports.listTaken()).filter((row) => row.nodeId === id);
    if (!force && (node.state !== 'draining' || blocks.length > 0)) {
      const on = blocks.map(({ service, namespace }) => `${service} of ${namespace}`).join(', ');
      const why = blocks.length === 0 ? `${id} takes part` : `on ${id} there is ${on}`;
      throw new OramaError('CONFLICT', `${why}; nothing was changed`, {
        hint: `orama node drain ${id} takes it off first; --force is for a node that will never come back`,
        details: { services: blocks.map(({ service, namespace }) => ({ service, namespace })) },
      });
    }
    if (force && node.reachable) {
      throw new OramaError('CONFLICT', `${id} is reachable: its services would go on unseen; nothing was changed`, {
        hint: `orama node drain ${id}, or shut the machine down first`,
      });
    }
    const running = await store.operations.runningOfNode(id);
    const nowMs = context.clock.now();
    // First, as it may be the one that leads: the others let go of it as soon as it is gone.
    await context.storeMembers?.removeNode(id);
    await change(context, node, 'gone', { requestedBy, action: 'remove-node' }, [
      ...(running ? [store.operations.finish(running.id, 'done', nowMs)] : []),
      // Those that nobody came back to: no SFU is left that would see them empty.
      ...store.rooms.forgetNode(id),
    ]);
    return { outcome: 'changed', message: `${id} is no longer part of the cluster` };
  });
}

async function requireNode({ store }: OperationContext, id: string): Promise<NodeRow> {
  const nodes = await store.nodes.list();
  const node = nodes.find((one) => one.id === id);
  if (node) return node;
  throw new OramaError('NOT_FOUND', `there is no node "${id}"`, {
    hint: `the nodes are ${nodes.map((one) => one.id).join(', ')}`,
  });
}

const ANOTHER_TAKES_PART = `EXISTS (SELECT 1 FROM nodes WHERE id <> ? AND state = 'active' AND reachable = 1)`;

/** Refuses what would leave a namespace without any node for one of its services. */
async function requireOthers({ store }: OperationContext, id: string): Promise<void> {
  const nodes = (await store.nodes.list()).filter((one) => one.id !== id && one.state === 'active' && one.reachable);
  if (nodes.length > 0) return;
  const rows = (await store.ports.listTaken()).filter((row) => row.nodeId === id);
  if (rows.length === 0) return;
  const names = [...new Set(rows.map(({ namespace }) => namespace))];
  throw new OramaError(
    'NOT_ENOUGH_NODES',
    `no other node takes part that could carry on ${names.join(', ')}; nothing was changed`,
    { hint: 'bring another node up or resume one (orama node list), then drain this one' },
  );
}

async function change(
  { store, clock }: OperationContext,
  node: NodeRow,
  state: NodeState,
  { requestedBy, action }: { requestedBy: string; action: string },
  more: readonly Statement[] = [],
): Promise<void> {
  const { id } = node;
  await store.db.batch([
    ...stillIs(node),
    store.nodes.setState(id, state),
    ...more,
    audit(clock.now(), requestedBy, action, id),
    raiseChangeCounter,
  ]);
}

function stillIs({ id, state }: NodeRow): Statement[] {
  return guard('state unchanged', 'EXISTS (SELECT 1 FROM nodes WHERE id = ? AND state = ?)', [id, state]);
}

function audit(atMs: number, actor: string, action: string, id: string): Statement {
  return auditStatement({ atMs, actor, action, namespace: null, result: id });
}

function unchanged(message: string): NodeChanged {
  return { outcome: 'unchanged', message };
}

function removed(context: OperationContext, id: string): OramaError {
  return new OramaError('CONFLICT', `${id} was removed from the cluster; nothing was changed`, {
    hint: hasToJoinAnew(context) ? JOIN_ANEW : `orama node readmit ${id} lets it take part again`,
  });
}

/** Whether a node that was removed has lost its copy of the store, and its way to the others. */
function hasToJoinAnew({ config: { store, services } }: OperationContext): boolean {
  return store.driver === 'rqlite' && services.manager === 'systemd';
}
const JOIN_ANEW = 'on that machine: orama node leave --force, then orama node join with a token of "orama node invite"';
