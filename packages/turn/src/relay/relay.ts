import type { IcmpError } from '../stun/index.ts';
import type { PortSet } from './bound-ports.ts';

/** A UDP port range, both ends included. */
export interface PortRange {
  readonly start: number;
  readonly end: number;
  /** Which of these ports it means at the moment; without it all. */
  readonly only?: PortSet;
}

/** Whether a port is in one of the ranges; undefined: any port is. */
export function holdsPort(ranges: readonly PortRange[] | undefined, port: number): boolean {
  if (ranges === undefined) return true;
  for (const { start, end, only } of ranges)
    if (port >= start && port <= end && (only === undefined || only.has(port))) return true;
  return false;
}

/** A peer host that the allocation may exchange datagrams with, and on which of its ports (undefined: any). */
export interface PermittedHost {
  readonly address: string;
  readonly ports: readonly PortRange[] | undefined;
  /** Relay address of ours that the host is reached from; its socket must be open. */
  readonly source: string;
  /** Where its datagrams go to and come from, when clients know it by another address (1:1 NAT). */
  readonly reach?: string;
}

/** A channel bound to a peer: the unit that faster back-ends (batched system calls, a kernel path) take over whole. */
export interface Flow {
  readonly channel: number;
  readonly address: string;
  readonly port: number;
}

/** Where a relay port delivers what peers send: the first `bytes` of `buffer`, taken before the calls return. */
export interface ClientSink {
  sendChannelData(channel: number, buffer: Buffer, bytes: number): void;
  sendDataIndication(peerAddress: string, peerPort: number, buffer: Buffer, bytes: number): void;
  /** Tells of an ICMP error that data to a peer brought about. */
  sendIcmpIndication(peerAddress: string, peerPort: number, error: IcmpError): void;
}

/** A limit on bytes of application data a second. Asked by the packet path, and only where a limit is set. */
export interface ByteBudget {
  /** Takes `bytes` at the time `nowMs` (monotonic, may be some milliseconds old); false when they are too many now. */
  take(bytes: number, nowMs: number): boolean;
}

/** What one relay port has moved. Plain numbers, bumped by the packet path and read by metrics and usage. */
export interface TrafficCounters {
  toPeerPackets: number;
  toPeerBytes: number;
  toClientPackets: number;
  toClientBytes: number;
}

/** Counters at zero. */
export function noTraffic(): TrafficCounters {
  return { toPeerPackets: 0, toPeerBytes: 0, toClientPackets: 0, toClientBytes: 0 };
}

/** Adds `more` to `total`. */
export function addTraffic(total: TrafficCounters, more: Readonly<TrafficCounters>): void {
  total.toPeerPackets += more.toPeerPackets;
  total.toPeerBytes += more.toPeerBytes;
  total.toClientPackets += more.toClientPackets;
  total.toClientBytes += more.toClientBytes;
}

/** Why packets were not passed on, over the whole server. */
export class DropCounters {
  malformed = 0;
  tooLarge = 0;
  unknownClient = 0;
  unboundChannel = 0;
  noPermission = 0;
  peerPortRefused = 0;
  slowReader = 0;
  sendQueueFull = 0;
  sendFailed = 0;
  rateLimited = 0;
  overByteRate = 0;
  amplification = 0;
}

/**
 * The relay side of one allocation: one port number, with a socket on each relay address it is bound to (IPv4, IPv6,
 * and the inner one that the namespace's own peers are reached from), and the tables of permitted hosts and flows. It
 * holds no timers: the allocation tells it what may flow, and takes it back when a lifetime ends.
 */
export interface RelayPort {
  readonly port: number;
  /** Relay addresses that have a socket. */
  readonly addresses: Iterable<string>;
  readonly counters: Readonly<TrafficCounters>;
  /** Limit on its bytes, both directions together; undefined: none. */
  budget: ByteBudget | undefined;
  /** Whether a relay address has its socket, so that hosts behind it can be permitted. */
  isBound(address: string): boolean;
  /** Opens the socket of one more relay address, on the same port number. Rejects with the system's error. */
  bind(address: string): Promise<void>;
  /** Closes the socket of a relay address; its hosts must have been revoked. */
  unbind(address: string): Promise<void>;
  /** Lets a host in and out. Throws when the socket of its `source` is not open. */
  permit(host: PermittedHost): void;
  /** Ends a host's permission. Its flows stay bound and silent until it is permitted again. */
  revoke(address: string): void;
  /** Binds a channel to a peer whose host has been permitted. */
  bindFlow(flow: Flow): void;
  unbindFlow(channel: number): void;
  /**
   * Passes a ChannelData message of the client, the first `bytes` of `buffer` (header first, padding allowed), to the
   * channel's peer.
   */
  relayChannelData(buffer: Buffer, bytes: number): void;
  /**
   * Passes the data of a Send indication to a peer, named by `hostKey`: a number for IPv4, text for IPv6. With
   * `dontFragment` it goes out with the DF bit set, or not at all.
   */
  relaySend(peer: number | string, peerPort: number, data: Buffer, dontFragment: boolean): void;
  /** Closes every socket; resolves when the port number is free again. Idempotent. */
  close(): Promise<void>;
}

/** Opens relay ports. The only thing a faster packet path has to replace. */
export interface Relay {
  /** Whether datagrams can go out with the DF bit set. */
  readonly canSetDf: boolean;
  /** Port numbers that have a socket open now, whatever became of their allocations. */
  readonly portsBound: number;
  /** Binds `address:port`. Rejects with the system's error (`code` EADDRINUSE when another process has it). */
  open(options: { address: string; port: number; client: ClientSink }): Promise<RelayPort>;
}
