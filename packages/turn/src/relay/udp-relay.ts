import type { Clock } from '@orama/core';
import { CHANNEL_HEADER_BYTES, channelDataLength, hostKey, type IcmpError } from '../stun/index.ts';
import { HostAddress, type UdpSocket, type UdpSockets } from '../udp/udp-socket.ts';
import type { BoundPorts } from './bound-ports.ts';
import {
  type ByteBudget,
  type ClientSink,
  type DropCounters,
  type Flow,
  holdsPort,
  noTraffic,
  type PermittedHost,
  type PortRange,
  type Relay,
  type RelayPort,
  type TrafficCounters,
} from './relay.ts';
import type { RelaySockets } from './relay-sockets.ts';

/** Receive buffer asked of the system for a relay socket: one peer's burst of a key frame. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
/** Bytes that may wait in a relay socket before packets to peers are dropped. */
const SEND_QUEUE_MAX_BYTES = 1024 * 1024;

/**
 * Largest datagram of an IPv6 peer that fits into a Data indication, whose attributes come to 65,532 bytes at most, 28 of
 * them for the address and the two headers. UDP over IPv4 carries nothing that would not fit.
 */
const DATA_MAX_BYTES = 65_504;

/** ICMP errors that a client is told of in a second; what they say is rarely new. */
const ICMP_PER_SEC = 10;

/** A peer host: permitted or not, with the flows bound to its ports. */
interface Host {
  readonly address: HostAddress;
  /** Where its datagrams go to and come from: nearly always its address. */
  reach: HostAddress;
  /** The relay address it is reached from and heard on, and its socket. */
  source: string;
  socket: UdpSocket;
  permitted: boolean;
  ports: readonly PortRange[] | undefined;
  /** Channel by peer port. */
  readonly channels: Map<number, number>;
}

interface BoundFlow {
  readonly host: Host;
  readonly port: number;
}

/** What the ports of a relay keep together: how many are open here, and which ones and how many sockets on the whole node. */
interface PortTally {
  portsBound: number;
  readonly boundPorts: BoundPorts;
  readonly relaySockets: RelaySockets;
}

/** Relays over UDP sockets, one a relay address. */
export class UdpRelay implements Relay {
  readonly #sockets: UdpSockets;
  readonly #drops: DropCounters;
  readonly #clock: Clock;
  readonly #time: TurnTime;
  readonly #tally: PortTally;

  /**
   * @param boundPorts where its open ports are noted, for whoever judges peers
   * @param relaySockets where its sockets are counted
   */
  constructor(
    sockets: UdpSockets,
    drops: DropCounters,
    clock: Clock,
    boundPorts: BoundPorts,
    relaySockets: RelaySockets,
  ) {
    this.#sockets = sockets;
    this.#drops = drops;
    this.#clock = clock;
    this.#time = new TurnTime(sockets, clock);
    this.#tally = { portsBound: 0, boundPorts, relaySockets };
  }

  get canSetDf(): boolean {
    return this.#sockets.canSetDf;
  }

  get portsBound(): number {
    return this.#tally.portsBound;
  }

  async open(options: { address: string; port: number; client: ClientSink }): Promise<RelayPort> {
    const port = new UdpRelayPort(options, this.#sockets, this.#drops, this.#clock, this.#time, this.#tally);
    await port.bind(options.address);
    return port;
  }
}

/** The time, asked of the clock once a turn of the sockets and not for each datagram. */
class TurnTime {
  readonly #sockets: UdpSockets;
  readonly #clock: Clock;
  #turn: number | undefined;
  #nowMs = 0;

  constructor(sockets: UdpSockets, clock: Clock) {
    this.#sockets = sockets;
    this.#clock = clock;
  }

  /** Monotonic, in whole milliseconds: a fraction would be garbage wherever it is passed. */
  get nowMs(): number {
    const { turn } = this.#sockets;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#nowMs = Math.trunc(this.#clock.monotonic());
    }
    return this.#nowMs;
  }
}

class UdpRelayPort implements RelayPort {
  readonly port: number;
  readonly counters: TrafficCounters = noTraffic();
  budget: ByteBudget | undefined;
  readonly #client: ClientSink;
  readonly #drops: DropCounters;
  readonly #clock: Clock;
  readonly #time: TurnTime;
  readonly #sockets: UdpSockets;
  /** By address. */
  readonly #bound = new Map<string, UdpSocket>();
  /** Sockets that are being opened, by address. */
  readonly #binding = new Map<string, Promise<void>>();
  /** Peer hosts by `hostKey`. */
  readonly #hosts = new Map<number | string, Host>();
  /** Hosts whose datagrams come from another address than clients know them by, by that. */
  #aliases: Map<number | string, Host> | undefined;
  readonly #flows = new Map<number, BoundFlow>();
  /** The host of the last packet from a peer: most packets come from one. */
  #lastHost: Host | undefined;
  /** The second that ICMP errors were last told in, and how many. */
  #icmpAtMs = Number.NEGATIVE_INFINITY;
  #icmpTold = 0;
  readonly #tally: PortTally;
  #socketsOpen = 0;
  #closed: Promise<void> | undefined;

  constructor(
    { port, client }: { port: number; client: ClientSink },
    sockets: UdpSockets,
    drops: DropCounters,
    clock: Clock,
    time: TurnTime,
    tally: PortTally,
  ) {
    this.port = port;
    this.#tally = tally;
    this.#client = client;
    this.#sockets = sockets;
    this.#drops = drops;
    this.#clock = clock;
    this.#time = time;
  }

  get addresses(): Iterable<string> {
    return this.#bound.keys();
  }

  isBound(address: string): boolean {
    return this.#bound.has(address);
  }

  bind(address: string): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(new Error('the relay port is closed'));
    if (this.#bound.has(address)) return Promise.resolve();
    let binding = this.#binding.get(address);
    if (binding === undefined) {
      binding = this.#bind(address);
      this.#binding.set(address, binding);
    }
    return binding;
  }

  async unbind(address: string): Promise<void> {
    const socket = this.#bound.get(address);
    if (socket === undefined) return;
    this.#bound.delete(address);
    await this.#closeSocket(address, socket);
  }

  permit(host: PermittedHost): void {
    const socket = this.#bound.get(host.source);
    if (socket === undefined) throw new Error(`no relay socket is open on ${host.source}`);
    const key = hostKey(host.address);
    let known = this.#hosts.get(key);
    if (known === undefined) {
      const { source, ports } = host;
      const address = new HostAddress(host.address);
      known = { address, reach: address, source, socket, permitted: true, ports, channels: new Map() };
      this.#hosts.set(key, known);
    } else {
      known.source = host.source;
      known.socket = socket;
      known.permitted = true;
      known.ports = host.ports;
    }
    if (host.reach !== undefined && host.reach !== known.reach.text) {
      known.reach = new HostAddress(host.reach);
      this.#aliases ??= new Map();
      this.#aliases.set(known.reach.key, known);
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

  relayChannelData(buffer: Buffer, bytes: number): void {
    const length = channelDataLength(buffer, bytes);
    if (length < 0) {
      this.#drops.malformed++;
      return;
    }
    const flow = this.#flows.get(((buffer[0] as number) << 8) | (buffer[1] as number));
    if (flow === undefined) {
      this.#drops.unboundChannel++;
      return;
    }
    const { host, port } = flow;
    if (!this.#admits(host, port, length)) return;
    host.socket.send(buffer, CHANNEL_HEADER_BYTES, CHANNEL_HEADER_BYTES + length, host.reach, port);
  }

  relaySend(peer: number | string, peerPort: number, data: Buffer, dontFragment: boolean): void {
    const host = this.#hosts.get(peer);
    if (host === undefined) this.#drops.noPermission++;
    else if (!this.#admits(host, peerPort, data.length)) return;
    else if (dontFragment) host.socket.sendWithDf(data, 0, data.length, host.reach, peerPort);
    else host.socket.send(data, 0, data.length, host.reach, peerPort);
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#hosts.clear();
    this.#aliases = undefined;
    this.#flows.clear();
    // A socket that is just being opened holds the port number too.
    if (this.#binding.size > 0) await Promise.allSettled(this.#binding.values());
    await Promise.all(Array.from(this.#bound, ([address, socket]) => this.#closeSocket(address, socket)));
    this.#bound.clear();
  }

  async #bind(address: string): Promise<void> {
    try {
      const socket = await this.#openSocket(address);
      this.#bound.set(address, socket);
      this.#tally.boundPorts.at(address).add(this.port);
      if (this.#socketsOpen++ === 0) this.#tally.portsBound++;
    } finally {
      this.#binding.delete(address);
    }
  }

  async #openSocket(address: string): Promise<UdpSocket> {
    const { relaySockets } = this.#tally;
    relaySockets.take();
    try {
      return await this.#sockets.open({
        address,
        port: this.port,
        onDatagram: (buffer, bytes, host, port) => this.#onPeerPacket(address, buffer, bytes, host, port),
        onIcmp: (host, port, error) => this.#onIcmp(address, host, port, error),
        receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        sendQueueMaxBytes: SEND_QUEUE_MAX_BYTES,
      });
    } catch (thrown) {
      relaySockets.release();
      throw thrown;
    }
  }

  async #closeSocket(address: string, socket: UdpSocket): Promise<void> {
    this.#tally.boundPorts.at(address).delete(this.port);
    await socket.close();
    this.#tally.relaySockets.release();
    if (--this.#socketsOpen === 0) this.#tally.portsBound--;
  }

  /** Whether so many bytes may go to a peer now; counts them, or why not. */
  #admits(host: Host, port: number, bytes: number): boolean {
    if (!host.permitted) {
      this.#drops.noPermission++;
    } else if (port === 0 || !holdsPort(host.ports, port)) {
      this.#drops.peerPortRefused++;
    } else if (this.budget !== undefined && !this.budget.take(bytes, this.#time.nowMs)) {
      this.#drops.overByteRate++;
    } else {
      this.counters.toPeerPackets++;
      this.counters.toPeerBytes += bytes;
      return true;
    }
    return false;
  }

  /** `source` is the relay address of ours that it came to. */
  #onPeerPacket(source: string, buffer: Buffer, bytes: number, peer: number | string, port: number): void {
    let host = this.#lastHost;
    if (host === undefined || host.address.key !== peer) {
      host = this.#hosts.get(peer);
      if (host !== undefined) this.#lastHost = host;
    }
    host = this.#byAlias(host, peer, port);
    if (host === undefined || !host.permitted || host.source !== source) {
      this.#drops.noPermission++;
      return;
    }
    if (!holdsPort(host.ports, port)) {
      this.#drops.peerPortRefused++;
      return;
    }
    const channel = host.channels.get(port);
    if (channel === undefined && bytes > DATA_MAX_BYTES && typeof peer === 'string') {
      this.#drops.tooLarge++;
      return;
    }
    if (this.budget !== undefined && !this.budget.take(bytes, this.#time.nowMs)) {
      this.#drops.overByteRate++;
      return;
    }
    this.counters.toClientPackets++;
    this.counters.toClientBytes += bytes;
    if (channel === undefined) this.#client.sendDataIndication(host.address.text, port, buffer, bytes);
    else this.#client.sendChannelData(channel, buffer, bytes);
  }

  /** The host that is meant by an address and a port: the one known by it, or the one that is reached there. */
  #byAlias(known: Host | undefined, peer: number | string, port: number): Host | undefined {
    if (this.#aliases === undefined || (known !== undefined && holdsPort(known.ports, port))) return known;
    return this.#aliases.get(peer) ?? known;
  }

  /** Tells the client why its data did not arrive (RFC 8656 section 11.5), where it may send such data. */
  #onIcmp(source: string, peer: number | string, port: number, error: IcmpError): void {
    const host = this.#byAlias(this.#hosts.get(peer), peer, port);
    if (host === undefined || !host.permitted || host.source !== source || !holdsPort(host.ports, port)) return;
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#icmpAtMs >= 1000) {
      this.#icmpAtMs = nowMs;
      this.#icmpTold = 0;
    }
    if (this.#icmpTold === ICMP_PER_SEC) return;
    this.#icmpTold++;
    this.#client.sendIcmpIndication(host.address.text, port, error);
  }

  #forgetWhenUnused(host: Host): void {
    if (host.permitted || host.channels.size > 0) return;
    this.#hosts.delete(host.address.key);
    if (host.reach !== host.address) this.#aliases?.delete(host.reach.key);
    if (this.#lastHost === host) this.#lastHost = undefined;
  }
}
