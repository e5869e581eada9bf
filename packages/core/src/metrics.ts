import { collectDefaultMetrics, Registry } from 'prom-client';

export { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** A registry with the process's own metrics (memory, CPU, event-loop delay). No label may carry a user, room or address. */
export function createMetrics(svc: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ svc });
  collectDefaultMetrics({ register: registry });
  return registry;
}
