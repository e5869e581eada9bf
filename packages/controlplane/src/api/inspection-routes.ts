import type { NodeFacts } from '@orama/protocol';
import { gatherClusterFacts } from '../inspector/cluster-facts.ts';
import { forward, type PeerOf } from './forward.ts';
import type { Route } from './route.ts';

export interface InspectionRouteOptions {
  /** Looks at this node. */
  nodeFacts: () => Promise<NodeFacts>;
  peer: PeerOf;
}

/** What the inspector asks: this node as it is, or any node, and what the store says must be. */
export function inspectionRoutes({ nodeFacts, peer }: InspectionRouteOptions): Route[] {
  return [
    ['GET', /^\/inspection$/, async () => ({ status: 200, body: await nodeFacts() }), 'viewer'],
    ['GET', /^\/nodes\/([^/]+)(\/inspection)$/, (call) => forward(call, 'GET', peer), 'viewer'],
    [
      'GET',
      /^\/inspection\/cluster$/,
      async ({ context }) => ({ status: 200, body: await gatherClusterFacts(context.config, context.store) }),
      'viewer',
    ],
  ];
}
