import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, issueTurnCredentials, systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { type TurnConfigInput, type TurnTenantInput, turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import type { TenantLedger } from '../allocation/ledger.ts';
import { TurnClient, type TurnClientOptions } from '../client/turn-client.ts';
import type { DropCounters } from '../relay/relay.ts';
import type { TurnServer } from '../server/turn-server.ts';
import { TurnService } from '../turn-service.ts';
import type { MakeSockets } from '../udp/udp-socket.ts';
import { TurnWorker } from '../workers/turn-worker.ts';

export const SECRET = 'a-secret-of-the-demo-tenant';
export const SFU_IP = '127.81.0.2';
export const RELAY_IP = '127.81.0.1';
export const PUBLIC_IP = '127.81.1.1';
/** Of /healthz and /metrics; with no relay ports, for its port is any. */
export const INTERNAL_IP = '127.81.0.250';
/** Where clients of tests send from. */
export const CLIENT_IP = '127.81.3.1';
export const REALM = 'orama.localhost';

/** A UDP port nobody has just now. */
export async function freePort(address: string): Promise<number> {
  const [port = 0] = await freePorts([address]);
  return port;
}

/** A free UDP port of each address, all different where addresses are the same. */
async function freePorts(addresses: readonly string[]): Promise<number[]> {
  const sockets = addresses.map((address) => createSocket('udp4').bind({ address, port: 0 }));
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  await Promise.all(sockets.map((socket) => once(socket, 'close')));
  return ports;
}

/** A running server with one tenant, `demo`, that may reach `SFU_IP` on every port of a range. */
export class TurnHarness {
  readonly service: TurnService;
  readonly port: number;
  readonly tlsPort: number;
  readonly internalPort: number;
  readonly controlSocket: string;
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #closers: (() => unknown)[] = [];

  private constructor(service: TurnService, ports: readonly [number, number, number], dir: string, clock: Clock) {
    this.service = service;
    [this.port, this.internalPort, this.tlsPort] = ports;
    this.#dir = dir;
    this.controlSocket = join(dir, 'turn.sock');
    this.#clock = clock;
  }

  /**
   * @param interfaces addresses of the machine's interfaces; without it, those that it has
   * @param openFiles how many files and sockets the process may have open; without it, what the system says
   */
  static async start(
    config: Partial<TurnConfigInput> = {},
    clock: Clock = systemClock,
    interfaces?: () => readonly string[],
    makeSockets?: MakeSockets,
    openFiles?: number,
  ): Promise<TurnHarness> {
    const dir = mkdtempSync(join(tmpdir(), 'turn-test-'));
    const [port = 0, innerPort = 0, tlsPort = 0] = await freePorts([PUBLIC_IP, INTERNAL_IP, PUBLIC_IP]);
    const ports = [port, innerPort, tlsPort] as const;
    const service = new TurnService(
      turnConfigSchema.parse({
        node: 'node-1',
        listen: [PUBLIC_IP],
        port: ports[0],
        realm: REALM,
        controlSocket: join(dir, 'turn.sock'),
        internal: { address: INTERNAL_IP, port: ports[1] },
        workers: 1,
        ...config,
        tls: config.tls === false ? false : { port: ports[2], ...config.tls },
      }),
      silentLogger,
      clock,
      makeSockets,
      interfaces,
      openFiles,
    );
    await service.start();
    const harness = new TurnHarness(service, ports, dir, clock);
    await harness.attach();
    return harness;
  }

  /** Attaches or updates a tenant with defaults that suit tests. */
  attach(tenant: Partial<TurnTenantInput> = {}) {
    return this.service.tenants.attach(
      turnTenantSchema.parse({
        namespace: 'demo',
        secrets: [SECRET],
        relay: { address: RELAY_IP, portStart: 49_152, portEnd: 49_951 },
        peers: [{ ip: SFU_IP, portStart: 20_000, portEnd: 65_535 }],
        generation: 1,
        ...tenant,
      }),
    );
  }

  /** The first worker's server, which with one worker is everybody's. */
  get server(): TurnServer {
    return this.#worker.server;
  }

  /** Port numbers that have a relay socket open. */
  get portsBound(): number {
    return this.#worker.relay.portsBound;
  }

  get drops(): DropCounters {
    return this.#worker.drops;
  }

  /** The ledger of `demo`. */
  get ledger(): TenantLedger {
    const ledger = this.service.tenants.ledger('demo');
    if (ledger === undefined) throw new Error('demo is not attached');
    return ledger;
  }

  get #worker(): TurnWorker {
    const [worker] = this.service.workers;
    if (worker instanceof TurnWorker) return worker;
    throw new Error('the workers are on threads of their own');
  }

  credentials(namespace = 'demo', ttlSec = 600, secret = SECRET): { username: string; password: string } {
    const nowMs = this.#clock.now();
    const { username, password } = issueTurnCredentials({ secret, namespace, ttlSec, uris: [], nowMs });
    return { username, password };
  }

  /** A client with fresh credentials of `demo`; closed with the harness. */
  async client(
    transport: 'udp' | 'tcp' | 'tls' = 'udp',
    options: Partial<TurnClientOptions> = {},
  ): Promise<TurnClient> {
    const server = { address: PUBLIC_IP, port: transport === 'tls' ? this.tlsPort : this.port };
    const client = await TurnClient.open({
      transport,
      server,
      localAddress: CLIENT_IP,
      tls: { rejectUnauthorized: false },
      ...this.credentials(),
      ...options,
    });
    this.#closers.push(() => client.close());
    return client;
  }

  /** A UDP peer on the SFU's address, or another one. */
  async peer(address = SFU_IP, port = 0): Promise<Peer> {
    const peer = await Peer.open(address, port);
    this.#closers.push(() => peer.close());
    return peer;
  }

  /** One call on the control socket. */
  control(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath: this.controlSocket, method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) });
        });
      });
      request.on('error', reject);
      request.end(typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** GET on the internal address. */
  internal(path: string): Promise<Response> {
    return fetch(`http://${INTERNAL_IP}:${this.internalPort}${path}`);
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    await this.service.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** A plain UDP socket in the place of an SFU. */
export class Peer {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #received: { data: Buffer; port: number; address: string }[] = [];
  #wake: (() => void) | undefined;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    ({ address: this.address, port: this.port } = socket.address());
    socket.on('message', (data, from) => {
      this.#received.push({ data, port: from.port, address: from.address });
      this.#wake?.();
    });
  }

  static async open(address: string, port: number): Promise<Peer> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.bind({ address, port });
    await once(socket, 'listening');
    return new Peer(socket);
  }

  /** Packets that have come and were not taken by `next`. */
  get waiting(): number {
    return this.#received.length;
  }

  /** The next packet. */
  async next(timeoutMs = 10_000): Promise<{ data: Buffer; port: number; address: string }> {
    const first = this.#received.shift();
    if (first) return first;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no packet within ${timeoutMs} ms`)), timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.next(timeoutMs);
  }

  send(data: Uint8Array, port: number, address = RELAY_IP): void {
    this.#socket.send(data, port, address);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}
