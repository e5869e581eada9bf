import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueTurnCredentials, type Logger, silentLogger, VirtualClock } from '@orama/core';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { readMetrics } from '@orama/testkit';
import { TurnService } from '@orama/turn';
import { freePort } from '../support/free-port.ts';
import { ownAddress } from '../support/own-address.ts';
import { type OnSent, type TappedSocket, TappedSockets } from './tapped-sockets.ts';

const RELAY_IP = ownAddress(2);
const RELAY_IP6 = '::1';
/** Few enough that a port or a place of the quota lost in each round is soon missed. */
const RELAY_BLOCK = { portStart: 52_000, portEnd: 52_099 };
const MAX_ALLOCATIONS = 60;
const SECRET = 'a-secret-of-the-fuzzed-tenant';
const NAMESPACE = 'demo';
/** Longer than any run lasts in virtual time. */
const CREDENTIAL_SEC = 20 * 365 * 86_400;

export const REALM = 'orama.localhost';
export const PUBLIC_IP = '127.96.1.1';
/** Where the only peers of the tenant are; the messages of the corpus name the same. */
export const PEER_IP = '127.96.0.3';
export const PEER_IP6 = '2001:db8::1';
export const PEER_PORTS = { start: 20_000, end: 20_009 };

/** What the server does, told to whoever judges it. */
export interface Taps {
  /** A packet to a client of the UDP port. True: taken; false: it is to go out over the real socket. */
  toClient(packet: Buffer, address: string, port: number): boolean;
  /** A packet out of a relay port; true and false as above. */
  toPeer(packet: Buffer, address: string, port: number): boolean;
  /** A log line that says that something is wrong with the server itself. */
  error(line: string): void;
}

/**
 * The whole TURN server with its listeners, on a virtual clock. Datagrams and chunks are handed to the server's own
 * sockets as the system would hand them over; node:diagnostics_channel tells of each connection.
 */
export class ServerUnderTest {
  readonly clock = new VirtualClock();
  readonly port: number;
  readonly service: TurnService;
  readonly #dir = mkdtempSync(join(tmpdir(), 'turn-fuzz-'));
  readonly #internalPort: number;
  readonly #streams = new Map<number, Socket>();
  #sockets: TappedSockets | undefined;

  private constructor(taps: Taps, ports: { turn: number; internal: number }) {
    this.port = ports.turn;
    this.#internalPort = ports.internal;
    subscribe('net.server.socket', this.#onStream);
    this.service = new TurnService(
      turnConfigSchema.parse({
        node: 'node-1',
        listen: [PUBLIC_IP],
        port: ports.turn,
        tls: false,
        workers: 1,
        realm: REALM,
        controlSocket: join(this.#dir, 'turn.sock'),
        internal: { address: RELAY_IP, port: ports.internal },
        maxTcpConnectionsPerSource: 1000,
      }),
      errorLogger((line) => taps.error(line)),
      this.clock,
      (drops, bugs) => {
        const onSent: OnSent = ({ address: own }, packet, address, port) =>
          taps[own === PUBLIC_IP ? 'toClient' : 'toPeer'](packet, address, port);
        this.#sockets = new TappedSockets(onSent, drops, bugs);
        return this.#sockets;
      },
    );
  }

  static async start(taps: Taps): Promise<ServerUnderTest> {
    const ports = { turn: await freePort(PUBLIC_IP), internal: await freePort(RELAY_IP) };
    const server = new ServerUnderTest(taps, ports);
    await server.service.start();
    await server.service.tenants.attach(
      turnTenantSchema.parse({
        namespace: NAMESPACE,
        secrets: [SECRET],
        relay: { address: RELAY_IP, address6: RELAY_IP6, ...RELAY_BLOCK },
        peers: [PEER_IP, PEER_IP6].map((ip) => ({ ip, portStart: PEER_PORTS.start, portEnd: PEER_PORTS.end })),
        maxAllocations: MAX_ALLOCATIONS,
        generation: 1,
      }),
    );
    return server;
  }

  /** A datagram reaches the TURN port. */
  receive(packet: Buffer, address: string, port: number): void {
    this.#socketsOf(PUBLIC_IP)[0]?.receive(packet, address, port);
  }

  /** A datagram reaches a relay port; `index` picks one. */
  receiveFromPeer(packet: Buffer, address: string, port: number, index: number): void {
    const relays = this.#socketsOf(address.includes(':') ? RELAY_IP6 : RELAY_IP);
    relays[index % relays.length]?.receive(packet, address, port);
  }

  /** The server's end of the connection that has this port at the client's. */
  stream(clientPort: number): Socket | undefined {
    return this.#streams.get(clientPort);
  }

  credentials(): { username: string; password: string } {
    const nowMs = this.clock.now();
    return issueTurnCredentials({ secret: SECRET, namespace: NAMESPACE, ttlSec: CREDENTIAL_SEC, uris: [], nowMs });
  }

  /** Relay sockets and accepted connections that are open. */
  get openSockets(): number {
    return this.#socketsOf(RELAY_IP).length + this.#socketsOf(RELAY_IP6).length + this.#streams.size;
  }

  /** Every series of /metrics with its value. */
  metrics(): Promise<Map<string, number>> {
    return readMetrics({ address: RELAY_IP, port: this.#internalPort });
  }

  async close(): Promise<void> {
    await this.service.close();
    unsubscribe('net.server.socket', this.#onStream);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #socketsOf(address: string): TappedSocket[] {
    return this.#sockets?.sockets.filter((socket) => socket.address === address) ?? [];
  }

  readonly #onStream = (event: unknown): void => {
    const { socket } = event as { socket: Socket };
    const { remotePort } = socket;
    if (socket.localPort !== this.port || remotePort === undefined || socket.destroyed) return;
    this.#streams.set(remotePort, socket);
    socket.once('close', () => this.#streams.delete(remotePort));
  };
}

/** A logger that passes on errors, each in one line, and nothing else. */
function errorLogger(onError: (line: string) => void): Logger {
  const logger = silentLogger.child({});
  logger.error = (fields: unknown, message?: string) => onError(`${message}: ${describe(fields)}`);
  logger.fatal = logger.error;
  return logger;
}

function describe(fields: unknown): string {
  const { err, ...rest } = fields as { err?: Error };
  return `${JSON.stringify(rest)} ${err?.stack ?? ''}`;
}
