import { type TurnServerAddress, turnUrisOf } from '@orama/protocol';
import type {
  NodesRepository,
  PortAllocationsRepository,
  ServiceReportsRepository,
  TurnAllocationRow,
} from '@orama/store';

/** Makes the TURN URIs of a namespace from the nodes that serve it. */
export class TurnUris {
  readonly #ports: PortAllocationsRepository;
  readonly #nodes: NodesRepository;
  readonly #reports: ServiceReportsRepository;
  readonly #advertise: 'names' | 'addresses';
  readonly #baseDomain: string;
  readonly #random: () => number;

  constructor(options: {
    ports: PortAllocationsRepository;
    nodes: NodesRepository;
    reports: ServiceReportsRepository;
    advertise: 'names' | 'addresses';
    baseDomain: string;
    random?: () => number;
  }) {
    this.#ports = options.ports;
    this.#nodes = options.nodes;
    this.#reports = options.reports;
    this.#advertise = options.advertise;
    this.#baseDomain = options.baseDomain;
    this.#random = options.random ?? Math.random;
  }

  /**
   * URIs (RFC 7065) in the order to try: the namespace's TURN name once, or one address per TURN node, those reported
   * healthy first and otherwise shuffled. Empty when no node serves TURN.
   */
  async of(namespace: string): Promise<string[]> {
    const rows = (await this.#ports.listOf(namespace)).filter((row) => row.service === 'turn');
    return turnUrisOf({
      advertise: this.#advertise,
      namespace,
      baseDomain: this.#baseDomain,
      servers: await this.#servers(namespace, rows),
    });
  }

  async #servers(namespace: string, rows: TurnAllocationRow[]): Promise<TurnServerAddress[]> {
    const [nodes, reports] = await Promise.all([this.#nodes.list(), this.#reports.listOf(namespace)]);
    const healthy = new Set(
      reports.filter((report) => report.service === 'turn' && report.healthy).map((report) => report.nodeId),
    );
    return rows
      .flatMap((row) => {
        const node = nodes.find((candidate) => candidate.id === row.nodeId && candidate.state !== 'gone');
        if (!node) return [];
        const rank = (healthy.has(row.nodeId) ? 0 : 1) + this.#random();
        return [{ publicIp: node.publicIp, port: row.listenPort, tlsPort: row.tlsPort, rank }];
      })
      .sort((a, b) => a.rank - b.rank);
  }
}
