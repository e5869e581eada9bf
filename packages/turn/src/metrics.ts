import type { Clock } from '@orama/core';
import { Counter, Gauge, type Registry } from '@orama/core/metrics';
import type { TurnTenantUsage } from '@orama/protocol';
import type { CertificateStore } from './certificates/certificate-store.ts';
import type { TenantDirectory } from './tenant/directory.ts';
import { type Counts, sumCounts, type WorkerReport } from './workers/worker-report.ts';

/** What the workers of a node have told at one moment. */
export interface NodeReport {
  readonly workers: readonly WorkerReport[];
  /** What every namespace has relayed since the start. */
  readonly usage: readonly TurnTenantUsage[];
}

/** What metrics are read from when they are asked for. */
export interface MetricSources {
  tenants: TenantDirectory;
  certificates: CertificateStore | undefined;
  clock: Clock;
  draining: () => boolean;
  /** The report of this scrape. */
  report: () => NodeReport;
}

/** Registers the server's metrics. The packet path only bumps numbers; they are put in form here, at each scrape. */
export function registerTurnMetrics(registry: Registry, sources: MetricSources): void {
  const { tenants, certificates, clock, draining, report } = sources;
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labels: L[], values: () => Labelled<L>) =>
    new Gauge({
      name,
      help,
      registers,
      labelNames: labels,
      collect() {
        this.reset();
        for (const [label, value] of values()) this.set(label, value);
      },
    });
  const counter = <L extends string>(name: string, help: string, labels: L[], values: () => Labelled<L>) =>
    new Counter({
      name,
      help,
      registers,
      labelNames: labels,
      collect() {
        this.reset();
        for (const [label, value] of values()) this.inc(label, value);
      },
    });
  const by = <L extends string>(label: L, counts: Iterable<[string, number]>): Labelled<L> =>
    Array.from(counts, ([key, value]) => [{ [label]: key } as Labels<L>, value]);
  const one = (value: number): Labelled<never> => [[{}, value]];
  const sum = (value: (worker: WorkerReport) => number) =>
    one(report().workers.reduce((total, worker) => total + value(worker), 0));
  const sums = <L extends string>(label: L, counts: (worker: WorkerReport) => Counts) =>
    by(label, Object.entries(sumCounts(report().workers.map(counts))));
  const perWorker = (value: (worker: WorkerReport) => number): Labelled<'worker'> =>
    report().workers.map((worker) => [{ worker: String(worker.id) }, value(worker)]);

  gauge('turn_tenants', 'Tenants attached', [], () => one(tenants.size));
  gauge('turn_allocations', 'Allocations alive', [], () => sum(({ allocations }) => allocations));
  gauge('turn_tenant_allocations', 'Allocations of a namespace', ['ns'], () =>
    by(
      'ns',
      tenants.list().map(({ namespace, allocations }) => [namespace, allocations]),
    ),
  );
  gauge('turn_transport_allocations', 'Allocations alive, by the client’s transport', ['transport'], () =>
    sums('transport', ({ transports }) => transports),
  );
  gauge('turn_relay_ports_bound', 'Relay ports open; equals turn_allocations when nothing leaks', [], () =>
    sum(({ relayPortsBound }) => relayPortsBound),
  );
  gauge('turn_stream_connections', 'TCP and TLS connections', [], () =>
    sum(({ streamConnections }) => streamConnections),
  );
  gauge(
    'turn_table_entries',
    'Entries of the tables that clients fill; near zero when nobody is there',
    ['table'],
    () => [...sums('table', ({ tables }) => tables), ...by('table', [['relayPorts', tenants.portCount]])],
  );
  gauge('turn_draining', '1 while no new allocation is made', [], () => one(draining() ? 1 : 0));
  gauge('turn_workers', 'Workers that share the ports', [], () => one(report().workers.length));
  gauge('turn_worker_allocations', 'Allocations alive, by worker', ['worker'], () =>
    perWorker(({ allocations }) => allocations),
  );
  gauge('turn_worker_event_loop_delay_p99_seconds', 'Delay of a worker’s event loop over ten seconds', ['worker'], () =>
    perWorker(({ eventLoop }) => eventLoop.delayP99Sec),
  );
  gauge('turn_worker_event_loop_delay_max_seconds', 'Largest of these delays', ['worker'], () =>
    perWorker(({ eventLoop }) => eventLoop.delayMaxSec),
  );
  gauge('turn_worker_event_loop_utilization', 'Share of ten seconds that a worker was busy', ['worker'], () =>
    perWorker(({ eventLoop }) => eventLoop.utilization),
  );
  gauge(
    'turn_certificate_expiry_seconds',
    'Seconds until a certificate of the TLS listener ends, by host name; default is the one for other names',
    ['name', 'self_signed'],
    () =>
      (certificates?.list() ?? []).map(({ name, selfSigned, notAfter }) => [
        { name: name ?? 'default', self_signed: String(selfSigned) },
        (notAfter - clock.now()) / 1000,
      ]),
  );

  counter('turn_allocations_opened_total', 'Allocations made', [], () =>
    sum(({ allocationsOpened }) => allocationsOpened),
  );
  counter('turn_allocations_ended_total', 'Allocations ended, by reason', ['reason'], () =>
    sums('reason', ({ ended }) => ended),
  );
  counter('turn_replies_total', 'Replies, by method and code', ['method', 'code'], () =>
    Object.entries(sumCounts(report().workers.map(({ replies }) => replies))).map(([key, value]) => {
      const [method = '', code = ''] = key.split(' ');
      return [{ method, code }, value];
    }),
  );
  counter('turn_auth_failures_total', 'Requests not authenticated, by reason', ['reason'], () =>
    sums('reason', ({ authFailures }) => authFailures),
  );
  counter('turn_peers_refused_total', 'Peers refused, by rule', ['rule'], () =>
    sums('rule', ({ refusals }) => refusals),
  );
  counter('turn_drops_total', 'Packets dropped, by reason', ['reason'], () => sums('reason', ({ drops }) => drops));
  counter('turn_stream_closed_total', 'Connections closed by the server, by reason', ['reason'], () =>
    sums('reason', ({ streamsClosed }) => streamsClosed),
  );
  const total = (value: (usage: TurnTenantUsage) => number) =>
    report().usage.reduce((subtotal, usage) => subtotal + value(usage), 0);
  counter('turn_relayed_packets_total', 'Packets relayed, by direction', ['direction'], () =>
    by('direction', [
      ['to-peer', total(({ toPeerPackets }) => toPeerPackets)],
      ['to-client', total(({ toClientPackets }) => toClientPackets)],
    ]),
  );
  counter('turn_relayed_bytes_total', 'Bytes of application data relayed, by direction', ['direction'], () =>
    by('direction', [
      ['to-peer', total(({ toPeerBytes }) => toPeerBytes)],
      ['to-client', total(({ toClientBytes }) => toClientBytes)],
    ]),
  );
  // Namespaces that are attached, of which a node has as many as it has relay blocks; those that are gone would add up.
  counter(
    'turn_tenant_relayed_bytes_total',
    'Bytes of application data relayed for a namespace, by direction',
    ['ns', 'direction'],
    () => {
      const attached = new Set(tenants.list().map(({ namespace }) => namespace));
      return report()
        .usage.filter(({ namespace }) => attached.has(namespace))
        .flatMap(({ namespace: ns, toPeerBytes, toClientBytes }) => [
          [{ ns, direction: 'to-peer' }, toPeerBytes],
          [{ ns, direction: 'to-client' }, toClientBytes],
        ]);
    },
  );
}

type Labels<L extends string> = Partial<Record<L, string>>;
type Labelled<L extends string> = [Labels<L>, number][];
