import type { InternalHandler } from '@orama/core';
import type { Monitor } from '../monitor/monitor.ts';
import type { Route } from './route.ts';

/** How this node is, and how the cluster is as its nodes tell it. */
export function monitorRoutes(monitor: Pick<Monitor, 'node' | 'cluster'>): Route[] {
  return [
    ['GET', /^\/monitor$/, async () => ({ status: 200, body: await monitor.cluster() }), 'viewer'],
    ['GET', /^\/monitor\/node$/, async () => ({ status: 200, body: await monitor.node() }), 'viewer'],
  ];
}

/** `GET /targets` beside what `health` answers: where Prometheus finds every process. It tells nothing that is not to be measured. */
export function withTargets(health: InternalHandler, monitor: Pick<Monitor, 'targets'>): InternalHandler {
  return async (request) =>
    request.method === 'GET' && request.path === '/targets'
      ? { status: 200, body: await monitor.targets() }
      : health(request);
}
