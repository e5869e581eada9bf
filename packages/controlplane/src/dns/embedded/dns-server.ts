import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6, type Server } from 'node:net';
import { bindError, type Clock, KeyedTokenBuckets, type Logger, sourceKey } from '@orama/core';
import type { Registry } from '@orama/core/metrics';
import { answer, slip } from './answer.ts';
import { DnsMetrics } from './dns-metrics.ts';
import { ResponseRate } from './response-rate.ts';
import { TcpConnection } from './tcp-connection.ts';
import type { Zone } from './zone.ts';

const MAX_CONNECTIONS = 500;
const MAX_CONNECTIONS_PER_SOURCE = 20;
/** Queries of one source over TCP, where nobody can ask in another's name. */
const TCP_RATE = { burst: 1_000, perSec: 200 };

export interface DnsServerOptions {
  listen: readonly { address: string; port: number }[];
  clock: Clock;
  logger: Logger;
  metrics: Registry;
}

/**
 * An authoritative server for one zone, over UDP and TCP. Answers SERVFAIL until it is given the zone, and from the last one
 * that it was given after that.
 */
export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #metrics: DnsMetrics;
  readonly #rate: ResponseRate;
  readonly #tcpRate = new KeyedTokenBuckets(TCP_RATE);
  readonly #udp: UdpSocket[] = [];
  readonly #tcp: Server[] = [];
  readonly #connections = new Set<TcpConnection>();
  readonly #bySource = new Map<string, number>();
  /** By place in `listen`. */
  readonly #bound = new Map<number, { address: string; port: number }>();
  #zone: Zone | null = null;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#rate = new ResponseRate(options.clock);
    this.#metrics = new DnsMetrics(
      options.metrics,
      () => this.#connections.size,
      () => this.#zone?.serial ?? 0,
    );
  }

  /** What it answers from; null before `serve`. */
  get zone(): Zone | null {
    return this.#zone;
  }

  /** Answers from this zone from now on. */
  serve(zone: Zone): void {
    this.#zone = zone;
  }

  /**
   * Binds every address that is not bound yet, over UDP and TCP. Port 0 takes a free one.
   * @returns what it listens on
   * @throws OramaError UNAVAILABLE that names field, address and port of the first that could not be bound; it answers at the
   * others
   */
  async start(): Promise<{ address: string; port: number }[]> {
    const faults: unknown[] = [];
    for (const [index, wanted] of this.#options.listen.entries()) {
      if (this.#bound.has(index)) continue;
      try {
        const port = await this.#bind({ ...wanted, field: `dns.listen.${index}` });
        this.#bound.set(index, { address: wanted.address, port });
        this.#options.logger.info({ address: wanted.address, port }, 'DNS server listens');
      } catch (thrown) {
        faults.push(thrown);
      }
    }
    if (faults.length > 0) throw faults[0];
    return [...this.#bound.values()];
  }

  /** Closes sockets and connections; clients have other servers to ask. */
  async stop(): Promise<void> {
    this.#bound.clear();
    const sockets = [...this.#udp.splice(0), ...this.#tcp.splice(0)];
    const closed = sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve())));
    for (const connection of this.#connections) connection.close();
    await Promise.all(closed);
  }

  async #bind(wanted: { address: string; port: number; field: string }): Promise<number> {
    const udp = await this.#bindUdp(wanted);
    const { port } = udp.address();
    try {
      await this.#bindTcp({ ...wanted, port });
    } catch (thrown) {
      udp.close();
      throw thrown;
    }
    this.#udp.push(udp);
    return port;
  }

  async #bindUdp(wanted: { address: string; port: number; field: string }): Promise<UdpSocket> {
    const type = isIPv6(wanted.address) ? 'udp6' : 'udp4';
    const socket = createSocket({ type, ipv6Only: type === 'udp6' }, (message, from) =>
      this.#onMessage(socket, message, from),
    );
    try {
      socket.bind(wanted.port, wanted.address);
      await once(socket, 'listening');
    } catch (thrown) {
      socket.close();
      throw bindError(thrown as NodeJS.ErrnoException, { transport: 'udp', ...wanted });
    }
    socket.on('error', (err) => this.#options.logger.warn({ err }, 'DNS socket failed'));
    return socket;
  }

  async #bindTcp(wanted: { address: string; port: number; field: string }): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => {
      const source = sourceKey(socket.remoteAddress ?? '');
      const own = this.#bySource.get(source) ?? 0;
      if (this.#connections.size >= MAX_CONNECTIONS || own >= MAX_CONNECTIONS_PER_SOURCE) {
        this.#metrics.withheld('tcp', 'connections');
        socket.destroy();
        return;
      }
      this.#bySource.set(source, own + 1);
      const connection = new TcpConnection(socket, {
        clock: this.#options.clock,
        answer: (message) => this.#answerTcp(message, source),
        onEnd: (reason) => {
          this.#connections.delete(connection);
          const left = (this.#bySource.get(source) ?? 1) - 1;
          if (left > 0) this.#bySource.set(source, left);
          else this.#bySource.delete(source);
          if (reason) this.#metrics.withheld('tcp', reason);
        },
      });
      this.#connections.add(connection);
    });
    try {
      server.listen(wanted.port, wanted.address);
      await once(server, 'listening');
    } catch (thrown) {
      throw bindError(thrown as NodeJS.ErrnoException, { transport: 'tcp', ...wanted });
    }
    server.on('error', (err) => this.#options.logger.warn({ err }, 'DNS socket failed'));
    this.#tcp.push(server);
  }

  #onMessage(socket: UdpSocket, message: Buffer, from: RemoteInfo): void {
    const verdict = this.#rate.take(from.address);
    if (verdict === 'drop') {
      this.#metrics.withheld('udp', 'rate');
      return;
    }
    const reply = verdict === 'slip' ? slip(message) : answer(message, this.#zone, 'udp');
    // Nothing can be sent to port 0.
    if (!reply || from.port === 0) {
      this.#metrics.withheld('udp', 'not-a-query');
      return;
    }
    if (reply.truncated) this.#metrics.withheld('udp', verdict === 'slip' ? 'slip' : 'truncated');
    this.#metrics.answered('udp', reply.rcode);
    socket.send(reply.bytes, from.port, from.address, (error) => {
      if (error) this.#metrics.withheld('udp', 'failed');
    });
  }

  #answerTcp(message: Buffer, source: string): Buffer | null {
    if (!this.#tcpRate.take(source, this.#options.clock.monotonic())) {
      this.#metrics.withheld('tcp', 'rate');
      return null;
    }
    const reply = answer(message, this.#zone, 'tcp');
    if (!reply) {
      this.#metrics.withheld('tcp', 'not-a-query');
      return null;
    }
    this.#metrics.answered('tcp', reply.rcode);
    return reply.bytes;
  }
}
