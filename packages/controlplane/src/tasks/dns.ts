import {
  guard,
  guardLease,
  type Lease,
  raiseChangeCounter,
  type ServiceReportRow,
  StoreConflictError,
} from '@orama/store';
import { type DnsChange, planDns } from '../dns/plan.ts';
import { servedRecords } from '../dns/served-records.ts';
import type { DnsRecord, DnsWriter } from '../dns/writer.ts';
import type { NodeContext } from '../node-context.ts';
import { type Observation, Reporter } from '../reconcile/reports.ts';
import { Stillness } from '../reconcile/stillness.ts';
import type { View } from '../reconcile/store-view.ts';
import type { Action, Task } from '../reconcile/task.ts';

/** DNS is the cluster's, not a node's: its reports carry this in place of a node id. */
export const CLUSTER_REPORTER = 'cluster';

type DnsAction = Action & ({ kind: 'dns-records'; change: DnsChange; lease: Lease } | { kind: 'dns-write' });

/**
 * Keeps the TURN names of all namespaces equal to their healthy TURN nodes, on the node that holds the lease, and what is served
 * equal to the store: there, or on every node.
 */
export class DnsTask implements Task<DnsAction> {
  readonly name = 'dns';
  readonly #context: NodeContext;
  readonly #writer: DnsWriter;
  readonly #health = new Stillness();
  /** A view of which nothing had to be changed, nor will have to with time. */
  #settled: View | null = null;
  /** What was reported last, and of which view. */
  #reported: { view: View; current: boolean; generation: number } | null = null;
  #reporter: { generation: number; reporter: Reporter } | null = null;

  constructor(context: NodeContext, writer: DnsWriter) {
    this.#context = context;
    this.#writer = writer;
  }

  async plan(): Promise<DnsAction[]> {
    const { view, leases } = this.#context;
    const lease = leases.held('dns');
    if (!lease && !this.#writer.onEveryNode) return [];
    const seen = await view.read();
    const actions: DnsAction[] = lease ? (await this.#changes(seen)).map((change) => changeOf(change, lease)) : [];
    if (actions.length > 0 || !(await this.#writer.isCurrent(...(await this.#served(seen)))))
      actions.push({ kind: 'dns-write', subject: 'records', reason: 'what is served differs from the store' });
    return actions;
  }

  async apply(action: DnsAction): Promise<void> {
    const { store, leases, view } = this.#context;
    if (action.kind === 'dns-write') {
      return this.#writer.write(...(await this.#served(await view.read())));
    }
    const { namespace, generation, records } = action.change;
    // Records must not outlive the settings they were derived from: a disable may have ended since.
    const settings =
      generation === null
        ? []
        : guard(
            'webrtc settings',
            'EXISTS (SELECT 1 FROM namespace_webrtc_config WHERE namespace = ? AND generation = ?)',
            [namespace, generation],
          );
    try {
      await store.db.batch([
        ...guardLease(action.lease),
        ...settings,
        ...store.dns.replaceOf(namespace, records),
        raiseChangeCounter,
      ]);
    } catch (thrown) {
      if (thrown instanceof StoreConflictError) leases.lost('dns');
      throw thrown;
    }
  }

  async report(): Promise<number | null> {
    const { store, view, clock, leases } = this.#context;
    const lease = leases.held('dns');
    if (!lease) return null;
    const seen = await view.read();
    const records = await seen.records();
    const current = await this.#writer.isCurrent(...(await this.#served(seen)));
    const changes = await this.#changes(seen);
    const { generation } = lease;
    const said = this.#reported;
    if (changes.length === 0 && said?.view === seen && said.current === current && said.generation === generation)
      return null;
    const pending = new Set(changes.map((change) => change.namespace));
    const recordsOf = Map.groupBy(records, (record) => record.namespace);
    const observations = [...seen.desired.values()].map(({ config, wanted }): Observation => {
      const served = recordsOf.get(config.namespace) ?? [];
      const healthy = wanted && current && served.length > 0 && !pending.has(config.namespace);
      const none = served.length === 0 ? 'no TURN node is healthy yet' : 'the records are being written';
      return {
        nodeId: CLUSTER_REPORTER,
        namespace: config.namespace,
        service: 'dns',
        desired: wanted ? 'running' : 'absent',
        observed: served.length === 0 && current ? 'absent' : 'running',
        healthy,
        generation: config.generation,
        reason: healthy || !wanted ? null : none,
        details: {},
      };
    });
    // What another holder wrote meanwhile is not known here.
    if (this.#reporter?.generation !== generation) this.#reporter = { generation, reporter: new Reporter(store) };
    await this.#reporter.reporter.write(observations, clock.now());
    this.#reported = { view: seen, current, generation };
    return null;
  }

  /** The records that are to be served, and the public addresses of all nodes. */
  async #served(view: View): Promise<[records: DnsRecord[], nodeAddresses: string[]]> {
    const nodes = await view.nodes();
    const addresses = nodes.flatMap(({ publicIp, publicIp6 }) => (publicIp6 ? [publicIp, publicIp6] : [publicIp]));
    return [await servedRecords(view, this.#context.config), addresses];
  }

  async #changes(view: View): Promise<DnsChange[]> {
    if (view === this.#settled) return [];
    const { config, clock } = this.#context;
    const reports = await view.turnReports();
    const now = clock.monotonic();
    const stills = this.#health.look(new Map(reports.map((report) => [keyOf(report), report.healthy])), now, now);
    const changes = planDns({
      desired: view.desired,
      reports,
      standsForMs: (report) => stills.get(keyOf(report))?.forMs ?? 0,
      nodes: await view.nodes(),
      current: await view.records(),
      baseDomain: config.baseDomain,
      nowMs: clock.now(),
    });
    this.#settled = changes.length === 0 && reports.every(({ healthy }) => healthy) ? view : null;
    return changes;
  }
}

function changeOf(change: DnsChange, lease: Lease): DnsAction {
  const reason = change.records.length === 0 ? 'not desired' : 'its healthy TURN nodes changed';
  return { kind: 'dns-records', subject: change.namespace, reason, change, lease };
}

function keyOf({ nodeId, namespace }: ServiceReportRow): string {
  return `${nodeId} ${namespace}`;
}
