/** A UDP port range, both ends included. */
export interface PortRange {
  readonly start: number;
  readonly end: number;
}

/** A peer host that the allocation may exchange datagrams with, and on which of its ports (undefined: any). */
export interface PermittedHost {
  readonly address: string;
  readonly ports: readonly PortRange[] | undefined;
}

/** A channel bound to a peer: the unit that faster back-ends (batched system calls, a kernel path) take over whole. */
export interface Flow {
  readonly channel: number;
  readonly address: string;
  readonly port: number;
}

/** Where a relay port delivers what peers send. Both calls take the bytes before they return. */
export interface ClientSink {
  sendChannelData(channel: number, data: Buffer): void;
  sendDataIndication(peerAddress: string, peerPort: number, data: Buffer): void;
}

/** What one relay port has moved. Plain numbers, bumped by the packet path and read by metrics and usage. */
export interface TrafficCounters {
  toPeerPackets: number;
  toPeerBytes: number;
  toClientPackets: number;
  toClientBytes: number;
}

/** Why packets were not passed on, over the whole server. */
export class DropCounters {
  malformed = 0;
  unknownClient = 0;
  unboundChannel = 0;
  noPermission = 0;
  peerPortRefused = 0;
  slowReader = 0;
  sendQueueFull = 0;
  rateLimited = 0;
  amplification = 0;
}

/**
 * One bound relay address with its tables of permitted hosts and flows. It holds no timers: the allocation tells it
 * what may flow, and takes it back when a lifetime ends.
 */
export interface RelayPort {
  readonly address: string;
  readonly port: number;
  readonly counters: Readonly<TrafficCounters>;
  permit(host: PermittedHost): void;
  /** Ends a host's permission. Its flows stay bound and silent until it is permitted again. */
  revoke(address: string): void;
  bindFlow(flow: Flow): void;
  unbindFlow(channel: number): void;
  /** Passes a ChannelData message of the client (header first, padding allowed) to the channel's peer. */
  relayChannelData(packet: Buffer): void;
  /** Passes the data of a Send indication to a peer, `peerIp` as a number. */
  relaySend(peerIp: number, peerPort: number, data: Buffer): void;
  /** Closes the socket; resolves when the port is free again. Idempotent. */
  close(): Promise<void>;
}

/** Opens relay ports. The only thing a faster packet path has to replace. */
export interface Relay {
  /** Binds `address:port`. Rejects with the system's error (`code` EADDRINUSE when another process has it). */
  open(options: { address: string; port: number; client: ClientSink }): Promise<RelayPort>;
}
