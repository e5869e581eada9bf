import { Counter, Gauge, type Registry } from '@orama/core';
import type { CertificateStore } from './certificates/certificate-store.ts';
import type { StreamListener } from './listener/stream.ts';
import type { DropCounters, TrafficCounters } from './relay/relay.ts';
import type { TurnServer } from './server/turn-server.ts';
import type { TenantRegistry } from './tenant/registry.ts';

/** What metrics are read from when they are asked for. */
export interface MetricSources {
  server: TurnServer;
  tenants: TenantRegistry;
  drops: DropCounters;
  streams: readonly StreamListener[];
  certificates: CertificateStore | undefined;
}

/** Registers the server's metrics. The packet path only bumps numbers; they are put in form here, at each scrape. */
export function registerTurnMetrics(registry: Registry, sources: MetricSources): void {
  const { server, tenants, drops, streams, certificates } = sources;
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  const counter = <L extends string>(
    name: string,
    help: string,
    labels: L[],
    values: () => Iterable<[Labels<L>, number]>,
  ) =>
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
  const by = <L extends string>(label: L, counts: Iterable<[string, number]>): [Labels<L>, number][] =>
    Array.from(counts, ([key, value]) => [{ [label]: key } as Labels<L>, value]);

  gauge('turn_tenants', 'Tenants attached', () => tenants.size);
  gauge('turn_allocations', 'Allocations alive', () => server.allocationCount);
  gauge('turn_relay_ports_bound', 'Relay sockets open; equals turn_allocations when nothing leaks', () => {
    return server.counters.relayPortsBound;
  });
  gauge('turn_stream_connections', 'TCP and TLS connections', () =>
    sum(streams.map((stream) => stream.connectionCount)),
  );
  new Gauge({
    name: 'turn_certificate_not_after_seconds',
    help: 'Unix time at which a certificate of the TLS listener ends, by host name; default is the one for other names',
    registers,
    labelNames: ['name', 'self_signed'],
    collect() {
      this.reset();
      for (const { name, selfSigned, notAfter } of certificates?.list() ?? []) {
        this.set({ name: name ?? 'default', self_signed: String(selfSigned) }, notAfter / 1000);
      }
    },
  });
  gauge('turn_draining', '1 while no new allocation is made', () => (server.draining ? 1 : 0));

  counter('turn_allocations_opened_total', 'Allocations made', [], () => [[{}, server.counters.allocationsOpened]]);
  counter('turn_allocations_ended_total', 'Allocations ended, by reason', ['reason'], () =>
    by('reason', server.counters.ended.entries()),
  );
  counter('turn_replies_total', 'Replies, by method and code', ['method', 'code'], () =>
    Array.from(server.counters.replies.entries(), ([key, value]): [Labels<'method' | 'code'>, number] => {
      const [method = '', code = ''] = key.split(' ');
      return [{ method, code }, value];
    }),
  );
  counter('turn_auth_failures_total', 'Requests not authenticated, by reason', ['reason'], () =>
    by('reason', server.counters.authFailures.entries()),
  );
  counter('turn_peers_refused_total', 'Peers refused, by rule', ['rule'], () => by('rule', server.refusals.byRule));
  counter('turn_drops_total', 'Packets dropped, by reason', ['reason'], () => by('reason', Object.entries(drops)));
  counter('turn_stream_closed_total', 'Connections closed by the server, by reason', ['reason'], () => {
    const total = new Map<string, number>();
    for (const stream of streams) for (const [key, n] of stream.closed) total.set(key, (total.get(key) ?? 0) + n);
    return by('reason', total);
  });
  counter('turn_relayed_packets_total', 'Packets relayed, by direction', ['direction'], () => {
    const traffic = totalTraffic(server, tenants);
    return by('direction', [
      ['to-peer', traffic.toPeerPackets],
      ['to-client', traffic.toClientPackets],
    ]);
  });
  counter('turn_relayed_bytes_total', 'Bytes of application data relayed, by direction', ['direction'], () => {
    const traffic = totalTraffic(server, tenants);
    return by('direction', [
      ['to-peer', traffic.toPeerBytes],
      ['to-client', traffic.toClientBytes],
    ]);
  });
}

type Labels<L extends string> = Partial<Record<L, string>>;

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function totalTraffic(server: TurnServer, tenants: TenantRegistry): TrafficCounters {
  const total = { ...server.counters.finishedTraffic };
  for (const tenant of tenants.all()) {
    for (const { port } of tenant.allocations) {
      total.toPeerPackets += port.counters.toPeerPackets;
      total.toPeerBytes += port.counters.toPeerBytes;
      total.toClientPackets += port.counters.toClientPackets;
      total.toClientBytes += port.counters.toClientBytes;
    }
  }
  return total;
}
