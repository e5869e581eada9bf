import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { silentLogger } from '@orama/core/logger';
import { turnConfigSchema, turnTenantSchema } from '@orama/protocol';
import { readMetrics } from '@orama/testkit';
import { TurnService } from '@orama/turn';
import { freePort } from '../support/free-port.ts';
import { ownAddress } from '../support/own-address.ts';
import { type Footprint, measure } from './footprint.ts';
import type { Pace } from './pace.ts';

export const NAMESPACE = 'demo';
export const SECRET = 'a-secret-of-the-soaked-tenant';
/** Allocations live this long unless refreshed, so that those of vanished clients end soon. */
export const LIFETIME_SEC = 120;
const PUBLIC_IP = '127.96.1.3';
const PEER_IP = '127.96.0.5';
/** Sockets end some turns of the event loop after they are closed. */
const SETTLE_TURNS = 200;

/** Where clients reach it, and the peer that sends everything back. */
export interface Addresses {
  listen: string;
  port: number;
  tlsPort: number;
  peer: { address: string; port: number };
}

/** The server that is soaked, wherever it runs. */
export interface SoakedServer {
  readonly addresses: Addresses;
  /** What its process holds, after garbage collection. */
  measure(): Promise<Footprint>;
  close(): Promise<void>;
}

/** The server in this process, with one tenant and a peer. */
export class LocalServer implements SoakedServer {
  readonly addresses: Addresses;
  readonly #pace: Pace;
  readonly #dir: string;
  readonly #peer: Socket;
  readonly #service: TurnService;
  readonly #internal: { address: string; port: number };

  private constructor(
    pace: Pace,
    dir: string,
    peer: Socket,
    service: TurnService,
    addresses: Addresses,
    internal: { address: string; port: number },
  ) {
    this.#pace = pace;
    this.#dir = dir;
    this.#peer = peer;
    this.#service = service;
    this.addresses = addresses;
    this.#internal = internal;
  }

  /** @param workers one in this thread, or several on threads of their own, which need a real pace */
  static async start(workers: number, pace: Pace): Promise<LocalServer> {
    const dir = mkdtempSync(join(tmpdir(), 'turn-soak-'));
    const relay = ownAddress(1);
    const port = await freePort(PUBLIC_IP);
    const tlsPort = await freePort(PUBLIC_IP);
    const internal = { address: relay, port: await freePort(relay) };
    const peer = createSocket('udp4').bind({ address: PEER_IP, port: 0 });
    await once(peer, 'listening');
    peer.on('message', (data, from) => peer.send(data, from.port, from.address));
    const peerAddress = { address: PEER_IP, port: peer.address().port };
    const config = turnConfigSchema.parse({
      node: 'node-1',
      listen: [PUBLIC_IP],
      port,
      tls: { port: tlsPort },
      workers,
      realm: 'orama.localhost',
      controlSocket: join(dir, 'turn.sock'),
      internal,
      defaultLifetimeSec: LIFETIME_SEC,
    });
    const service = new TurnService(config, silentLogger, pace.clock);
    const addresses = { listen: PUBLIC_IP, port, tlsPort, peer: peerAddress };
    const server = new LocalServer(pace, dir, peer, service, addresses, internal);
    await service.start();
    const peers = [{ ip: PEER_IP, portStart: peerAddress.port, portEnd: peerAddress.port }];
    const relayBlock = { address: relay, portStart: 53_000, portEnd: 53_799 };
    const tenant = { namespace: NAMESPACE, secrets: [SECRET], relay: relayBlock, peers, generation: 1 };
    await service.tenants.attach(turnTenantSchema.parse(tenant));
    return server;
  }

  async measure(): Promise<Footprint> {
    const metrics = await readMetrics(this.#internal);
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await setImmediate();
    return measure(metrics, this.#pace.pendingTimers);
  }

  async close(): Promise<void> {
    await this.#service.close();
    this.#peer.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
