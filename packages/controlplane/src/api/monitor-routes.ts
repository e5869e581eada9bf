import type { Monitor } from '../monitor/monitor.ts';
import type { Route } from './route.ts';

/** How this node is, and how the cluster is as its nodes tell it. */
export function monitorRoutes(monitor: Pick<Monitor, 'node' | 'cluster'>): Route[] {
  return [
    ['GET', /^\/monitor$/, async () => ({ status: 200, body: await monitor.cluster() }), 'viewer'],
    ['GET', /^\/monitor\/node$/, async () => ({ status: 200, body: await monitor.node() }), 'viewer'],
  ];
}
