import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { CHANNEL_HEADER_BYTES, channelDataLength, ipv4ToNumber } from '../stun/index.ts';
import type {
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
  permitted: boolean;
  ports: readonly PortRange[] | undefined;
  /** Channel by peer port. */
  readonly channels: Map<number, number>;
}

interface BoundFlow {
  readonly host: Host;
  readonly port: number;
}

/** Node's own UDP sockets: works everywhere, one socket a relay port. */
export class UdpRelay implements Relay {
  readonly #drops: DropCounters;

  constructor(drops: DropCounters) {
    this.#drops = drops;
  }

  open(options: { address: string; port: number; client: ClientSink }): Promise<RelayPort> {
    const socket = createSocket({ type: 'udp4', lookup: withoutLookup });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind({ address: options.address, port: options.port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        resolve(new UdpRelayPort(socket, options.address, options.port, options.client, this.#drops));
      });
    });
  }
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
  readonly address: string;
  readonly port: number;
  readonly counters: TrafficCounters = { toPeerPackets: 0, toPeerBytes: 0, toClientPackets: 0, toClientBytes: 0 };
  readonly #socket: Socket;
  readonly #client: ClientSink;
  readonly #drops: DropCounters;
  /** Peer hosts by numeric address. */
  readonly #hosts = new Map<number, Host>();
  readonly #flows = new Map<number, BoundFlow>();
  /** The host of the last packet from a peer: most packets come from one. */
  #lastHost: Host | undefined;
  #closed: Promise<void> | undefined;

  constructor(socket: Socket, address: string, port: number, client: ClientSink, drops: DropCounters) {
    this.address = address;
    this.port = port;
    this.#socket = socket;
    this.#client = client;
    this.#drops = drops;
    socket.on('message', (data, from) => this.#onPeerPacket(data, from));
    // An ICMP answer or a full queue is the loss UDP promises; the socket itself goes on.
    socket.on('error', () => undefined);
  }

  permit(host: PermittedHost): void {
    const known = this.#host(host.address);
    known.permitted = true;
    known.ports = host.ports;
  }

  revoke(address: string): void {
    const ip = ipv4ToNumber(address);
    const host = this.#hosts.get(ip);
    if (host === undefined) return;
    host.permitted = false;
    this.#forgetWhenUnused(ip, host);
  }

  bindFlow(flow: Flow): void {
    const host = this.#host(flow.address);
    host.channels.set(flow.port, flow.channel);
    this.#flows.set(flow.channel, { host, port: flow.port });
  }

  unbindFlow(channel: number): void {
    const flow = this.#flows.get(channel);
    if (flow === undefined) return;
    this.#flows.delete(channel);
    flow.host.channels.delete(flow.port);
    this.#forgetWhenUnused(ipv4ToNumber(flow.host.address), flow.host);
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

  relaySend(peerIp: number, peerPort: number, data: Buffer): void {
    const host = this.#hosts.get(peerIp);
    if (host === undefined) this.#drops.noPermission++;
    else this.#toPeer(host, peerPort, data);
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#socket.removeAllListeners('message');
      this.#hosts.clear();
      this.#flows.clear();
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }

  #toPeer(host: Host, port: number, data: Buffer): void {
    if (this.#closed !== undefined) return;
    if (!host.permitted) {
      this.#drops.noPermission++;
    } else if (port === 0 || !portAllowed(host.ports, port)) {
      this.#drops.peerPortRefused++;
    } else if (this.#socket.getSendQueueSize() > SEND_QUEUE_MAX_BYTES) {
      this.#drops.sendQueueFull++;
    } else {
      this.#socket.send(data, port, host.address);
      this.counters.toPeerPackets++;
      this.counters.toPeerBytes += data.length;
    }
  }

  #onPeerPacket(data: Buffer, from: RemoteInfo): void {
    let host = this.#lastHost;
    if (host === undefined || host.address !== from.address) {
      host = this.#hosts.get(ipv4ToNumber(from.address));
      if (host !== undefined) this.#lastHost = host;
    }
    if (host === undefined || !host.permitted) {
      this.#drops.noPermission++;
      return;
    }
    if (!portAllowed(host.ports, from.port)) {
      this.#drops.peerPortRefused++;
      return;
    }
    this.counters.toClientPackets++;
    this.counters.toClientBytes += data.length;
    const channel = host.channels.get(from.port);
    if (channel === undefined) this.#client.sendDataIndication(host.address, from.port, data);
    else this.#client.sendChannelData(channel, data);
  }

  #host(address: string): Host {
    const ip = ipv4ToNumber(address);
    let host = this.#hosts.get(ip);
    if (host === undefined) {
      host = { address, permitted: false, ports: undefined, channels: new Map() };
      this.#hosts.set(ip, host);
    }
    return host;
  }

  #forgetWhenUnused(ip: number, host: Host): void {
    if (host.permitted || host.channels.size > 0) return;
    this.#hosts.delete(ip);
    if (this.#lastHost === host) this.#lastHost = undefined;
  }
}
