import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Clock } from '@orama/core';
import { CHANNEL_HEADER_BYTES, channelDataLength, hostKey } from '../stun/index.ts';
import type {
  ByteBudget,
  ClientSink,
  DropCounters,
  Flow,
  PermittedHost,
  PortRange,
  Relay,
  RelayPort,
  TrafficCounters,
} from './relay.ts';

/** Bytes that may wait in a relay socket before packets to peers are dropped. */
const SEND_QUEUE_MAX_BYTES = 1024 * 1024;

/** A peer host: permitted or not, with the flows bound to its ports. */
interface Host {
  readonly address: string;
  /** The socket it is reached from, and heard on. */
  socket: Socket;
  permitted: boolean;
  ports: readonly PortRange[] | undefined;
  /** Channel by peer port. */
  readonly channels: Map<number, number>;
}

interface BoundFlow {
  readonly host: Host;
  readonly port: number;
}

/** Node's own UDP sockets: works everywhere, one socket a relay address. */
export class UdpRelay implements Relay {
  readonly #drops: DropCounters;
  readonly #clock: Clock;

  constructor(drops: DropCounters, clock: Clock) {
    this.#drops = drops;
    this.#clock = clock;
  }

  async open(options: { address: string; port: number; client: ClientSink }): Promise<RelayPort> {
    const port = new UdpRelayPort(options.port, options.client, this.#drops, this.#clock);
    await port.bind(options.address);
    return port;
  }
}

function bindSocket(address: string, port: number): Promise<Socket> {
  const ipv6 = address.includes(':');
  const socket = createSocket({ type: ipv6 ? 'udp6' : 'udp4', ipv6Only: ipv6, lookup: withoutLookup });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      // An ICMP answer or a full queue is the loss UDP promises; the socket itself goes on.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

function closeSocket(socket: Socket): Promise<void> {
  socket.removeAllListeners('message');
  return new Promise((resolve) => socket.close(() => resolve()));
}

/** Peers are addresses, never names; answering at once keeps `send` synchronous. */
export function withoutLookup(
  host: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, host, 4);
}

function portAllowed(ports: readonly PortRange[] | undefined, port: number): boolean {
  if (ports === undefined) return true;
  for (const range of ports) if (port >= range.start && port <= range.end) return true;
  return false;
}

class UdpRelayPort implements RelayPort {
  readonly port: number;
  readonly counters: TrafficCounters = { toPeerPackets: 0, toPeerBytes: 0, toClientPackets: 0, toClientBytes: 0 };
  budget: ByteBudget | undefined;
  readonly #client: ClientSink;
  readonly #drops: DropCounters;
  readonly #clock: Clock;
  readonly #sockets = new Map<string, Socket>();
  /** Sockets that are being opened, by address. */
  readonly #binding = new Map<string, Promise<void>>();
  /** Peer hosts by `hostKey`. */
  readonly #hosts = new Map<number | string, Host>();
  readonly #flows = new Map<number, BoundFlow>();
  /** The host of the last packet from a peer: most packets come from one. */
  #lastHost: Host | undefined;
  #closed: Promise<void> | undefined;

  constructor(port: number, client: ClientSink, drops: DropCounters, clock: Clock) {
    this.port = port;
    this.#client = client;
    this.#drops = drops;
    this.#clock = clock;
  }

  get addresses(): Iterable<string> {
    return this.#sockets.keys();
  }

  isBound(address: string): boolean {
    return this.#sockets.has(address);
  }

  bind(address: string): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(new Error('the relay port is closed'));
    if (this.#sockets.has(address)) return Promise.resolve();
    let binding = this.#binding.get(address);
    if (binding === undefined) {
      binding = this.#bind(address);
      this.#binding.set(address, binding);
    }
    return binding;
  }

  async unbind(address: string): Promise<void> {
    const socket = this.#sockets.get(address);
    if (socket === undefined) return;
    this.#sockets.delete(address);
    await closeSocket(socket);
  }

  permit(host: PermittedHost): void {
    const socket = this.#sockets.get(host.source);
    if (socket === undefined) throw new Error(`no relay socket is open on ${host.source}`);
    const key = hostKey(host.address);
    const known = this.#hosts.get(key);
    if (known === undefined) {
      const { address, ports } = host;
      this.#hosts.set(key, { address, socket, permitted: true, ports, channels: new Map() });
    } else {
      known.socket = socket;
      known.permitted = true;
      known.ports = host.ports;
    }
  }

  revoke(address: string): void {
    const host = this.#hosts.get(hostKey(address));
    if (host === undefined) return;
    host.permitted = false;
    this.#forgetWhenUnused(host);
  }

  bindFlow(flow: Flow): void {
    const host = this.#hosts.get(hostKey(flow.address));
    if (host === undefined) throw new Error(`${flow.address} has not been permitted`);
    host.channels.set(flow.port, flow.channel);
    this.#flows.set(flow.channel, { host, port: flow.port });
  }

  unbindFlow(channel: number): void {
    const flow = this.#flows.get(channel);
    if (flow === undefined) return;
    this.#flows.delete(channel);
    flow.host.channels.delete(flow.port);
    this.#forgetWhenUnused(flow.host);
  }

  relayChannelData(packet: Buffer): void {
    const length = channelDataLength(packet);
    if (length < 0) {
      this.#drops.malformed++;
      return;
    }
    const flow = this.#flows.get(((packet[0] as number) << 8) | (packet[1] as number));
    if (flow === undefined) {
      this.#drops.unboundChannel++;
      return;
    }
    this.#toPeer(flow.host, flow.port, packet.subarray(CHANNEL_HEADER_BYTES, CHANNEL_HEADER_BYTES + length));
  }

  relaySend(peer: number | string, peerPort: number, data: Buffer): void {
    const host = this.#hosts.get(peer);
    if (host === undefined) this.#drops.noPermission++;
    else this.#toPeer(host, peerPort, data);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    for (const socket of this.#sockets.values()) socket.removeAllListeners('message');
    this.#hosts.clear();
    this.#flows.clear();
    // A socket that is just being opened holds the port number too.
    await Promise.allSettled(this.#binding.values());
    await Promise.all(Array.from(this.#sockets.values(), closeSocket));
    this.#sockets.clear();
  }

  async #bind(address: string): Promise<void> {
    try {
      const socket = await bindSocket(address, this.port);
      socket.on('message', (data, from) => this.#onPeerPacket(socket, data, from));
      this.#sockets.set(address, socket);
    } finally {
      this.#binding.delete(address);
    }
  }

  #toPeer(host: Host, port: number, data: Buffer): void {
    if (!host.permitted) {
      this.#drops.noPermission++;
    } else if (port === 0 || !portAllowed(host.ports, port)) {
      this.#drops.peerPortRefused++;
    } else if (host.socket.getSendQueueSize() > SEND_QUEUE_MAX_BYTES) {
      this.#drops.sendQueueFull++;
    } else if (this.budget !== undefined && !this.budget.take(data.length, this.#clock.monotonic())) {
      this.#drops.rateLimited++;
    } else {
      host.socket.send(data, port, host.address);
      this.counters.toPeerPackets++;
      this.counters.toPeerBytes += data.length;
    }
  }

  #onPeerPacket(socket: Socket, data: Buffer, from: RemoteInfo): void {
    let host = this.#lastHost;
    if (host === undefined || host.address !== from.address) {
      host = this.#hosts.get(hostKey(from.address));
      if (host !== undefined) this.#lastHost = host;
    }
    if (host === undefined || !host.permitted || host.socket !== socket) {
      this.#drops.noPermission++;
      return;
    }
    if (!portAllowed(host.ports, from.port)) {
      this.#drops.peerPortRefused++;
      return;
    }
    if (this.budget !== undefined && !this.budget.take(data.length, this.#clock.monotonic())) {
      this.#drops.rateLimited++;
      return;
    }
    this.counters.toClientPackets++;
    this.counters.toClientBytes += data.length;
    const channel = host.channels.get(from.port);
    if (channel === undefined) this.#client.sendDataIndication(host.address, from.port, data);
    else this.#client.sendChannelData(channel, data);
  }

  #forgetWhenUnused(host: Host): void {
    if (host.permitted || host.channels.size > 0) return;
    this.#hosts.delete(hostKey(host.address));
    if (this.#lastHost === host) this.#lastHost = undefined;
  }
}
