import { Counter, Gauge, type Registry } from '@orama/core/metrics';
import type { RcodeName } from './wire.ts';

/** Why a message or a connection got no answer, or not the whole one. */
export type DropReason =
  | 'not-a-query'
  | 'rate'
  | 'slip'
  | 'truncated'
  | 'connections'
  | 'idle'
  | 'oversized'
  | 'unread'
  | 'failed';

/** What the embedded server counts. */
export class DnsMetrics {
  readonly #answers: Counter<'transport' | 'rcode'>;
  readonly #dropped: Counter<'transport' | 'reason'>;

  /** @param connections how many TCP connections are open; @param serial of the zone, 0 before there is one */
  constructor(register: Registry, connections: () => number, serial: () => number) {
    const registers = [register];
    this.#answers = new Counter({
      name: 'orama_dns_answers_total',
      help: 'Answers of the embedded DNS server',
      labelNames: ['transport', 'rcode'],
      registers,
    });
    this.#dropped = new Counter({
      name: 'orama_dns_withheld_total',
      help: 'Queries and connections that got no answer or a shortened one, by reason',
      labelNames: ['transport', 'reason'],
      registers,
    });
    new Gauge({
      name: 'orama_dns_tcp_connections',
      help: 'Open TCP connections of the embedded DNS server',
      registers,
      collect() {
        this.set(connections());
      },
    });
    new Gauge({
      name: 'orama_dns_zone_serial',
      help: 'Serial of the zone that is served; 0 before the store has been read',
      registers,
      collect() {
        this.set(serial());
      },
    });
  }

  answered(transport: 'udp' | 'tcp', rcode: RcodeName): void {
    this.#answers.inc({ transport, rcode });
  }

  withheld(transport: 'udp' | 'tcp', reason: DropReason): void {
    this.#dropped.inc({ transport, reason });
  }
}
