import { Gauge, type Registry } from '@orama/core/metrics';
import type { ControlplaneConfig } from '@orama/protocol';
import { countFreeBlocks } from '../placement/free-blocks.ts';
import type { View } from '../reconcile/store-view.ts';

export interface NodeMetricsSources {
  /** Of this controlplane. */
  version: string;
  turn: Pick<ControlplaneConfig['turn'], 'advertise'>;
  /** What the store says now. Rejects where it does not answer: what it said before is no measurement. */
  read: () => Promise<{ config: ControlplaneConfig; view: View }>;
}

/** What a controlplane shows of its node; nothing of it before the store was reached, or with a store that does not answer. */
export function registerNodeMetrics(metrics: Registry, { version, turn, read }: NodeMetricsSources): void {
  const registers = [metrics];
  new Gauge({
    name: 'orama_build_info',
    help: '1, with the version of the controlplane',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
  new Gauge({
    name: 'orama_store_up',
    help: 'Whether the store answered this controlplane just now',
    registers,
    async collect() {
      this.set(
        await read().then(
          () => 1,
          () => 0,
        ),
      );
    },
  });
  new Gauge({
    name: 'orama_turn_advertises_names',
    help: 'Whether clients are told names of TURN servers, for which certificates must hold, and not addresses',
    registers,
  }).set(Number(turn.advertise === 'names'));
  new Gauge({
    name: 'orama_port_blocks_free',
    help: 'Further namespaces that this node has ports for',
    labelNames: ['service'],
    registers,
    async collect() {
      this.reset();
      const seen = await read().catch(() => null);
      if (!seen) return;
      for (const [service, { free }] of Object.entries(countFreeBlocks(seen.config, seen.view.allocations)))
        this.set({ service }, free);
    },
  });
  new Gauge({
    name: 'orama_service_up',
    help: 'Whether a service that a namespace is to have on this node was healthy when its controlplane last looked',
    labelNames: ['service', 'ns'],
    registers,
    async collect() {
      this.reset();
      const reports = await read().then(
        async ({ config, view }) =>
          [...(await view.reportsHere()).values()].flat().filter(({ nodeId }) => nodeId === config.node),
        () => [],
      );
      for (const { service, namespace, desired, healthy } of reports) {
        if (desired === 'running' && (service === 'sfu' || service === 'turn'))
          this.set({ service, ns: namespace }, Number(healthy));
      }
    },
  });
}
