import { Counter, type Registry } from '@orama/core/metrics';
import { type ServiceManager, serviceOfUnit } from '../services/service-manager.ts';

/** Counts how often units of this node ended unasked, for the report and for `/metrics`. */
export class ServiceEnds {
  readonly #ends = new Map<string, number>();
  readonly #counter: Counter<'service' | 'ns'>;

  constructor(metrics: Registry) {
    this.#counter = new Counter({
      name: 'orama_service_ends_total',
      help: 'Services of this node that ended unasked, and were started again',
      labelNames: ['service', 'ns'],
      registers: [metrics],
    });
  }

  watch(services: ServiceManager): void {
    services.onExit(({ unit, wanted }) => {
      if (wanted) return;
      this.#ends.set(unit, this.of(unit) + 1);
      const { service, namespace } = serviceOfUnit(unit);
      this.#counter.inc({ service, ns: namespace ?? '' });
    });
  }

  /** Of one unit, since this controlplane started. */
  of(unit: string): number {
    return this.#ends.get(unit) ?? 0;
  }
}
