import { describeError } from '@orama/core';
import type { Registry } from '@orama/core/metrics';
import type { ClusterReport, ControlplaneConfig, NodeReport } from '@orama/protocol';
import type { Database, NodeRow } from '@orama/store';
import type { PeerOf } from '../api/forward.ts';
import type { NodeContext } from '../node-context.ts';
import type { View } from '../reconcile/store-view.ts';
import type { HeldUnits } from '../services/held-units.ts';
import type { ServiceManager } from '../services/service-manager.ts';
import { registerNodeMetrics } from './node-metrics.ts';
import { reportNode } from './node-report.ts';
import { type Asked, reportCluster } from './report.ts';
import { type ScrapeTarget, scrapeTargets } from './scrape-targets.ts';
import { ServiceEnds } from './service-ends.ts';
import { within } from './within.ts';

/** A store that answers later is as good as down for a report. */
const STORE_PATIENCE_MS = 1_500;

type MonitorContext = Pick<NodeContext, 'config' | 'store' | 'view' | 'services' | 'clock'>;

export interface MonitorOptions {
  version: string;
  turn: Pick<ControlplaneConfig['turn'], 'advertise'>;
  /** Of this controlplane. */
  metrics: Registry;
  /** Throws STORE_UNAVAILABLE while the store has not been reached. */
  context: () => MonitorContext;
  peer: PeerOf;
  held: HeldUnits;
  /** A connection of its own to the store. */
  storeProbe: () => Database;
}

/** What the store says. */
interface Known {
  view: View;
  nodes: NodeRow[];
}

/** Tells how this node is, and how the cluster is, from what runs: of what is desired only where to look. */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #ends: ServiceEnds;
  /** What the store last said, for when it is away. */
  #known: Known | null = null;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#ends = new ServiceEnds(options.metrics);
    registerNodeMetrics(options.metrics, {
      version: options.version,
      turn: options.turn,
      read: async () => {
        const context = options.context();
        return { config: context.config, view: (await readStore(context)).view };
      },
    });
  }

  /** Counts ends of services from now on. */
  watch(services: ServiceManager): void {
    this.#ends.watch(services);
  }

  /** Asks everything on this node. Throws STORE_UNAVAILABLE where it is not known yet what belongs here. */
  async node(): Promise<NodeReport> {
    const context = this.#options.context();
    return this.#ownNode(context, (await this.#read(context)).view);
  }

  /** Asks every node that is a part of the cluster. One that does not answer is in the report as that. */
  async cluster(): Promise<ClusterReport> {
    const context = this.#options.context();
    const { config, clock } = context;
    const { view, nodes } = await this.#read(context);
    const asked = nodes
      .filter(({ state }) => state !== 'gone')
      .map(async (node): Promise<Asked> => {
        try {
          const isOwn = node.id === config.node;
          const report = await (isOwn
            ? this.#ownNode(context, view)
            : this.#options.peer(node.wireguardIp).ownReport());
          return { node, report, reason: null };
        } catch (thrown) {
          return { node, report: null, reason: describeError(thrown) };
        }
      });
    return reportCluster(config, await Promise.all(asked), view.desired, clock.now());
  }

  #ownNode(context: MonitorContext, view: View): Promise<NodeReport> {
    const { version, metrics, held, storeProbe } = this.#options;
    return reportNode({ context, view, version, metrics, held, ends: this.#ends, storeProbe: storeProbe() });
  }

  /** Where Prometheus finds every process of the cluster. */
  async targets(): Promise<ScrapeTarget[]> {
    const context = this.#options.context();
    const { view, nodes } = await this.#read(context);
    return scrapeTargets(context.config, nodes, view);
  }

  async #read(context: MonitorContext): Promise<Known> {
    try {
      this.#known = await readStore(context);
    } catch (thrown) {
      if (!this.#known) throw thrown;
    }
    return this.#known;
  }
}

function readStore({ view }: MonitorContext): Promise<Known> {
  const read = view.read().then(async (seen) => ({ view: seen, nodes: await seen.nodes() }));
  return within(STORE_PATIENCE_MS, read);
}
