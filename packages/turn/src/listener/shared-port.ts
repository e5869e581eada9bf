import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Logger } from '@orama/core';
import { LogRate } from '../log-rate.ts';
import { type ClientHello, readClientHello } from './client-hello.ts';
import type { Listener } from './client-transport.ts';
import { HttpsPassage } from './https-passage.ts';
import type { SourceLimits } from './source-limits.ts';
import type { StreamListener } from './stream.ts';
import type { CloseReason } from './stream-client.ts';

/** A ClientHello must be there within this. */
const HELLO_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;
/** What RFC 7443 registers. */
const TURN_PROTOCOLS = ['stun.turn', 'stun.nat-discovery'];
/** An authority that proves a name (RFC 8737): for whoever asked it, which is never us. */
const ACME_PROTOCOL = 'acme-tls/1';
/** Lines about an HTTPS server that cannot be reached. */
const LOG_RATE = { burst: 3, perSec: 0.1 };

export interface SharedPortOptions {
  address: string;
  port: number;
  /** Whether other workers listen on the same port (SO_REUSEPORT). */
  reusePort: boolean;
  /** Takes the connections that are for TURN. */
  turn: StreamListener;
  /** Where the HTTPS server listens, which is told of clients by the PROXY protocol. */
  https: { address: string; port: number };
  /** Whether a host name is that of a tenant. */
  isTurnName: (name: string) => boolean;
  /** Counts connections over the whole node, whoever they are for. */
  sourceLimits: SourceLimits;
  clock: Clock;
  logger: Logger;
}

/**
 * A TLS port, 443 as a rule, that TURN shares with an HTTPS server: where nothing else is let out, clients reach both. What is
 * for TURN is told by the ClientHello, and nothing else is decrypted here.
 */
export class SharedPortListener implements Listener {
  readonly protocol = 'tls';
  /** Connections closed by us, by reason. */
  readonly closed = new Map<CloseReason, number>();
  readonly #options: SharedPortOptions;
  readonly #server: Server;
  readonly #log: LogRate;
  /** Connections whose ClientHello is not whole yet, and since when. */
  readonly #waiting = new Map<Socket, number>();
  readonly #passages = new Set<HttpsPassage>();

  constructor(options: SharedPortOptions) {
    this.#options = options;
    this.#log = new LogRate(LOG_RATE, options.clock);
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
      (connection) => this.#accept(connection),
    );
  }

  /** Those that are not the TURN listener's. */
  get connectionCount(): number {
    return this.#waiting.size + this.#passages.size;
  }

  start(): Promise<void> {
    const { address, port, reusePort, logger } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address, port, reusePort, backlog: 1024 }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => logger.error({ err: error }, 'shared port failed'));
        resolve();
      });
    });
  }

  sweep(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [connection, sinceMs] of this.#waiting) {
      if (nowMs - sinceMs >= HELLO_MS) this.#drop(connection, 'handshake-timeout');
    }
    for (const passage of this.#passages) {
      if (!passage.overdue(nowMs)) continue;
      this.#count('idle');
      passage.destroy();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
    for (const connection of this.#waiting.keys()) this.#drop(connection, 'server-stopped');
    for (const passage of this.#passages) passage.destroy();
    await closed;
  }

  #accept(connection: Socket): void {
    // A reset is told by 'close', which always follows.
    connection.on('error', () => undefined);
    const { sourceLimits, clock } = this.#options;
    const source = connection.remoteAddress;
    if (source === undefined || !sourceLimits.openConnection(source)) {
      if (source !== undefined) this.#count('too-many');
      connection.destroy();
      return;
    }
    this.#waiting.set(connection, clock.monotonic());
    const chunks: Buffer[] = [];
    let have = 0;
    let atLeast = 1;
    const gone = () => {
      this.#waiting.delete(connection);
      sourceLimits.closeConnection(source);
    };
    connection.once('close', gone);
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      have += chunk.length;
      if (have < atLeast) return;
      const begin = Buffer.concat(chunks);
      const hello = readClientHello(begin);
      if (hello === 'malformed') {
        this.#drop(connection, 'malformed');
        return;
      }
      if ('more' in hello) {
        atLeast = hello.atLeast;
        return;
      }
      connection.off('data', onData);
      connection.pause();
      this.#waiting.delete(connection);
      if (!this.#isForTurn(hello)) {
        this.#passOn(connection, begin);
        return;
      }
      // It is counted there, and its handshake as well.
      connection.off('close', gone);
      sourceLimits.closeConnection(source);
      connection.unshift(begin);
      this.#options.turn.accept(connection, this.#options.port);
    };
    connection.on('data', onData);
  }

  #isForTurn({ serverName, protocols }: ClientHello): boolean {
    if (protocols.includes(ACME_PROTOCOL)) return false;
    if (protocols.some((protocol) => TURN_PROTOCOLS.includes(protocol))) return true;
    return serverName !== undefined && this.#options.isTurnName(serverName);
  }

  #passOn(client: Socket, begin: Buffer): void {
    const { https, clock } = this.#options;
    const { remoteAddress, remotePort, localAddress, localPort } = client;
    // A client that is gone by now has none of them.
    if (!remoteAddress || !remotePort || !localAddress || !localPort) {
      client.destroy();
      return;
    }
    const passage = new HttpsPassage({
      client,
      ends: { remoteAddress, remotePort, localAddress, localPort },
      begin,
      to: https,
      nowMs: clock.monotonic(),
      onFault: (error) => this.#unreachable(error),
      onClosed: () => this.#passages.delete(passage),
    });
    this.#passages.add(passage);
  }

  #unreachable(error: Error): void {
    this.#count('https-unreachable');
    const unwritten = this.#log.take();
    if (unwritten === undefined) return;
    const { address, port } = this.#options.https;
    this.#options.logger.warn(
      { address, port, reason: error.message, unwritten },
      'the HTTPS server that shares the port cannot be reached; its clients are turned away',
    );
  }

  #drop(connection: Socket, reason: CloseReason): void {
    if (connection.destroyed) return;
    this.#count(reason);
    connection.destroy();
  }

  #count(reason: CloseReason): void {
    this.closed.set(reason, (this.closed.get(reason) ?? 0) + 1);
  }
}
