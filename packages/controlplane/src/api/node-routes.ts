import { changeNodeSchema, drainNodeSchema, type NodeView, nodeIdSchema, removeNodeSchema } from '@orama/protocol';
import type { OperationContext } from '../operations/context.ts';
import { drainNode, readmitNode, removeNode, resumeNode } from '../operations/nodes.ts';
import { type Call, parseBody, parseInput, type Route } from './route.ts';
import { toNodeStatus, toOperation } from './views.ts';

/** The nodes of the cluster, below `/nodes`. `onChange` is called after a call that changed what is desired. */
export function nodeRoutes(onChange: () => void): Route[] {
  const idOf = ({ subjects }: Call) => parseInput(nodeIdSchema, subjects[0] ?? '', 'the node id');
  const changing = (status: number, answer: (call: Call) => Promise<object>) => async (call: Call) => {
    const body = await answer(call);
    onChange();
    return { status, body };
  };
  return [
    ['GET', /^\/nodes$/, async ({ context }) => ({ status: 200, body: { nodes: await listNodes(context) } }), 'viewer'],
    [
      'POST',
      /^\/nodes\/([^/]+)\/drain$/,
      changing(202, (call) => drainNode(call.context, idOf(call), parseBody(drainNodeSchema, call))),
      'operator',
    ],
    [
      'POST',
      /^\/nodes\/([^/]+)\/resume$/,
      changing(200, (call) => resumeNode(call.context, idOf(call), parseBody(changeNodeSchema, call).requestedBy)),
      'operator',
    ],
    [
      'POST',
      /^\/nodes\/([^/]+)\/readmit$/,
      changing(200, (call) => readmitNode(call.context, idOf(call), parseBody(changeNodeSchema, call).requestedBy)),
      'operator',
    ],
    [
      'POST',
      /^\/nodes\/([^/]+)\/remove$/,
      changing(200, (call) => removeNode(call.context, idOf(call), parseBody(removeNodeSchema, call))),
      'operator',
    ],
  ];
}

async function listNodes({ store }: OperationContext): Promise<NodeView[]> {
  const [nodes, blocks, reports, running] = await Promise.all([
    store.nodes.list(),
    store.ports.listTaken(),
    store.reports.list(),
    store.operations.listRunning('weak'),
  ]);
  return nodes.map((node): NodeView => {
    const operation = running.find(({ nodeId }) => nodeId === node.id);
    const counted = (name: string) =>
      reports.reduce((sum, { nodeId, details }) => {
        const count = nodeId === node.id ? details[name] : 0;
        return sum + (typeof count === 'number' ? count : 0);
      }, 0);
    return {
      ...toNodeStatus(node),
      publicIp6: node.publicIp6,
      version: node.version,
      aliveSince: new Date(node.reachableSinceMs).toISOString(),
      services: blocks.flatMap(({ nodeId, service, namespace, leavingSinceMs }) =>
        nodeId === node.id ? [{ service, namespace, leaving: leavingSinceMs !== null }] : [],
      ),
      peers: counted('peers'),
      allocations: counted('allocations'),
      operation: operation ? toOperation(operation) : null,
    };
  });
}
