import { turnUrisOf } from '@orama/protocol';
import {
  type NodesRepository,
  type PortAllocationsRepository,
  type ServiceReportsRepository,
  turnServersOf,
} from '@orama/store';

interface TurnUrisOptions {
  ports: PortAllocationsRepository;
  nodes: NodesRepository;
  reports: ServiceReportsRepository;
  advertise: 'names' | 'addresses';
  baseDomain: string;
  port443: boolean;
}

/** The TURN URIs of namespaces. */
export class TurnUris {
  readonly #options: TurnUrisOptions;

  constructor(options: TurnUrisOptions) {
    this.#options = options;
  }

  /**
   * URIs (RFC 7065) of a namespace now: with its TURN name, or with the address of each TURN node that serves it. Empty
   * when it has no TURN node.
   */
  async of(namespace: string): Promise<string[]> {
    const { advertise, baseDomain, port443 } = this.#options;
    const [ports, nodes, reports] = await Promise.all([
      this.#options.ports.listOf(namespace),
      this.#options.nodes.list(),
      this.#options.reports.listOf(namespace),
    ]);
    const servers = turnServersOf(namespace, { ports, nodes, reports });
    return turnUrisOf({ advertise, namespace, baseDomain, port443, servers });
  }
}
