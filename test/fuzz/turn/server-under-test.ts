import { issueTurnCredentials } from '@orama/core';
import { type TurnConfigInput, type TurnTenant, type TurnTenantInput, turnTenantSchema } from '@orama/protocol';
import { freePort } from '../../support/free-port.ts';
import { ownAddress } from '../../support/own-address.ts';
import type { Random } from '../../support/random.ts';
import type { Memory } from '../rounds.ts';

/**
 * How what a run makes reaches a server: handed to its UDP sockets as the system would hand it over, which repeats exactly;
 * over the wire to the batched sockets of one worker; over the wire to a process with two workers on threads.
 */
export const MODES = ['handed', 'batched', 'threads'] as const;
export type Mode = (typeof MODES)[number];

export const RELAY_IP = ownAddress(2);
export const RELAY_IP6 = '::1';
export const NAMESPACE = 'demo';
export const REALM = 'orama.localhost';
export const PUBLIC_IP = '127.96.1.1';
/** Where peers of the tenant are; the messages of the corpus name the same. */
export const PEER_IP = '127.96.0.3';
/** Of the metrics, whose port may be any. */
export const INTERNAL_IP = '127.96.0.250';
export const PEER_IP6 = '2001:db8::1';
/** Where its peers are that are really there. */
export const REAL_PEER_IP = ownAddress(3);
export const PEER_PORTS = { start: 20_000, end: 20_009 };
/** Nobody of the tenant's. */
export const STRANGER_IP = '127.96.0.9';

const SECRET = 'a-secret-of-the-fuzzed-tenant';
const OTHER_SECRET = 'another-secret-of-the-fuzzed-tenant';
/** Few enough that a port or a place of the quota lost in each round is soon missed. */
const RELAY_BLOCK = { portStart: 52_000, portEnd: 52_099 };
const MAX_ALLOCATIONS = 60;
/** Longer than any run lasts in virtual time. */
const CREDENTIAL_SEC = 20 * 365 * 86_400;

/** Who asks at every turn may. */
export const UNLIMITED = { unauthenticatedRate: { burst: 100_000, perSec: 100_000 } };

/** What the server does, told to whoever judges it. */
export interface Taps {
  /** A packet out of a relay port. */
  toPeer(address: string, port: number): void;
  /** A log line that says that something is wrong with the server itself, or that it has ended. */
  error(line: string): void;
}

export interface Ports {
  readonly turn: number;
  readonly tls: number;
  readonly internal: number;
}

/** A client's place in the network. */
export interface DatagramEnd {
  readonly address: string;
  readonly port: number;
  send(packet: Buffer): void;
}

/** The server as a whole: its tenant, its time, what it holds. */
export interface Host {
  readonly ports: Ports;
  attach(tenant: TurnTenant): Promise<void>;
  detach(): Promise<void>;
  nowMs(): number;
  /** Lets time pass where it does not by itself. */
  advance(ms: number): void;
  /** Ends whatever lives, with its time or with its tenant. */
  expire(): Promise<void>;
  /** Every series of /metrics with its value. */
  metrics(): Promise<Map<string, number>>;
  memory(): Promise<Memory>;
  close(): Promise<void>;
}

/** How datagrams and streams come to the server. */
export interface Way {
  /** The peer that sound clients talk to. */
  readonly peerAddress: string;
  /** Somebody new. */
  open(receive: (packet: Buffer) => void, random: Random): Promise<DatagramEnd>;
  /** A datagram reaches a relay port, from a peer of the tenant's or from a stranger. */
  fromPeer(data: Buffer, from: 'peer' | 'stranger', relayed: readonly { port: number }[], random: Random): void;
  /** Hands the next bytes of a connection to the server's end of it; false: they have to go the real way. */
  deliver(clientPort: number, chunk: Buffer): boolean;
  /** Whether a datagram has been handled when it has been sent. */
  readonly atOnce: boolean;
  /** The server gets its turn. */
  turn(): Promise<void>;
  /** Forgets everybody who was opened. */
  clear(): void;
  /** Sockets of the server that are open beside its listeners, as far as can be seen. */
  readonly openSockets: number;
  close(): void;
}

export interface ServerUnderTest {
  readonly host: Host;
  readonly way: Way;
}

export async function freePorts(): Promise<Ports> {
  return { turn: await freePort(PUBLIC_IP), tls: await freePort(PUBLIC_IP), internal: await freePort(INTERNAL_IP) };
}

export function configOf(ports: Ports, controlSocket: string): TurnConfigInput {
  return {
    node: 'node-1',
    listen: [PUBLIC_IP],
    port: ports.turn,
    tls: { port: ports.tls },
    realm: REALM,
    controlSocket,
    internal: { address: INTERNAL_IP, port: ports.internal },
    maxTcpConnectionsPerSource: 1000,
  };
}

/** The tenant, with settings that are not the usual ones. */
export function tenantWith(changes: Partial<TurnTenantInput> = {}): TurnTenant {
  return turnTenantSchema.parse({
    namespace: NAMESPACE,
    secrets: [SECRET],
    relay: { address: RELAY_IP, address6: RELAY_IP6, ...RELAY_BLOCK },
    peers: [PEER_IP, PEER_IP6, REAL_PEER_IP].map((ip) => ({
      ip,
      portStart: PEER_PORTS.start,
      portEnd: PEER_PORTS.end,
    })),
    maxAllocations: MAX_ALLOCATIONS,
    generation: 1,
    ...changes,
  });
}

/** Settings that an operator may give the tenant while it is in use. None lets it reach anybody but its peers. */
export function randomTenant(random: Random): TurnTenant {
  const { portStart, portEnd } = RELAY_BLOCK;
  const peers = tenantWith().peers;
  return tenantWith({
    secrets: random.pick([[SECRET], [SECRET, OTHER_SECRET], [OTHER_SECRET, SECRET], [OTHER_SECRET]]),
    ...(random.chance(30) && { retiredSecrets: [SECRET] }),
    peers: random.pick([peers, peers, peers.slice(0, 1), peers.map((peer) => ({ ...peer, portEnd: peer.portStart }))]),
    maxAllocations: random.pick([1, 8, MAX_ALLOCATIONS]),
    maxAllocationsPerUsername: random.pick([1, 4, 40]),
    ...(random.chance(30) && { bytesPerSec: random.pick([2_000, 1_000_000]) }),
    ...(random.chance(30) && { allocationBytesPerSec: random.pick([2_000, 1_000_000]) }),
    relay: {
      address: RELAY_IP,
      ...(random.chance(80) && { address6: RELAY_IP6 }),
      portStart: random.pick([portStart, portStart, portStart + 50]),
      portEnd,
    },
  });
}

/** Credentials of the tenant that outlive the run. */
export function credentialsAt(nowMs: number): { username: string; password: string } {
  return issueTurnCredentials({ secret: SECRET, namespace: NAMESPACE, ttlSec: CREDENTIAL_SEC, uris: [], nowMs });
}
