import { Counter, Gauge, Histogram, type Registry } from '@orama/core/metrics';

/** What the gateway counts. Labels are routes, codes and outcomes, never names of users, rooms or addresses. */
export interface GatewayMetrics {
  requests: Counter<'route' | 'method' | 'status'>;
  requestSeconds: Histogram<'route'>;
  /** Signalling sockets now open. */
  sessions: Gauge;
  /** Signalling sockets by how they ended: the close code sent or received. */
  sessionEnds: Counter<'code'>;
  /** Upgrades refused before they were made, by reason. */
  upgradesRefused: Counter<'reason'>;
  /** Rooms moved to another SFU because theirs did not work. */
  sfuFailures: Counter;
}

/** Makes the gateway's metrics in `registry`. */
export function createGatewayMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry];
  return {
    requests: new Counter({
      name: 'orama_gateway_requests_total',
      help: 'HTTP requests answered',
      labelNames: ['route', 'method', 'status'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'orama_gateway_request_seconds',
      help: 'Time to answer an HTTP request',
      labelNames: ['route'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    sessions: new Gauge({ name: 'orama_gateway_signalling_sessions', help: 'Open signalling sockets', registers }),
    sessionEnds: new Counter({
      name: 'orama_gateway_signalling_ends_total',
      help: 'Signalling sockets that ended, by close code',
      labelNames: ['code'],
      registers,
    }),
    upgradesRefused: new Counter({
      name: 'orama_gateway_upgrades_refused_total',
      help: 'WebSocket upgrades refused with an HTTP status',
      labelNames: ['reason'],
      registers,
    }),
    sfuFailures: new Counter({
      name: 'orama_gateway_sfu_failures_total',
      help: 'Signalling connections that an SFU refused, did not answer or dropped',
      registers,
    }),
  };
}
