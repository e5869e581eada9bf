import type { DropCounters } from '../relay/relay.ts';
import { CHANNEL_HEADER_BYTES, ipv4ToText, isChannelData, padded } from '../stun/index.ts';
import { HostAddress, type UdpSocket, type UdpSockets } from '../udp/udp-socket.ts';
import type { Listener, PacketHandler } from './client-transport.ts';
import { DATA_HEADER_MAX_BYTES, writeDataHeader } from './data-indication.ts';
import { UdpClient } from './udp-client.ts';

/** Receive buffer asked of the system: bursts of key frames from many clients arrive on one socket. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Bytes that may wait in the socket before packets to clients are dropped. */
const SEND_QUEUE_MAX_BYTES = 4 * 1024 * 1024;

/** The UDP port that clients send to. Keeps a table of the clients that have an allocation or are getting one, and of nobody else. */
export class UdpListener implements Listener {
  readonly protocol = 'udp';
  readonly address: string;
  readonly port: number;
  readonly #handler: PacketHandler;
  readonly #drops: DropCounters;
  readonly #sockets: UdpSockets;
  readonly #reusePort: boolean;
  /** By host, then port: one key of both would be a number that is garbage after each packet. */
  readonly #clients = new Map<number | string, Map<number, UdpClient>>();
  #clientCount = 0;
  /** What goes before the data of a packet to a client. */
  readonly #header = Buffer.alloc(DATA_HEADER_MAX_BYTES);
  #socket: UdpSocket | undefined;

  constructor(options: {
    address: string;
    port: number;
    handler: PacketHandler;
    drops: DropCounters;
    /** Whether other workers listen on the same port (SO_REUSEPORT): the system gives each client one of them. */
    reusePort: boolean;
    sockets: UdpSockets;
  }) {
    this.address = options.address;
    this.port = options.port;
    this.#handler = options.handler;
    this.#drops = options.drops;
    this.#sockets = options.sockets;
    this.#reusePort = options.reusePort;
  }

  /** Clients with an allocation, or with an Allocate under way. */
  get clientCount(): number {
    return this.#clientCount;
  }

  async start(): Promise<void> {
    this.#socket = await this.#sockets.open({
      address: this.address,
      port: this.port,
      onDatagram: (buffer, bytes, host, port) => this.#onPacket(buffer, bytes, host, port),
      reusePort: this.#reusePort,
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      sendQueueMaxBytes: SEND_QUEUE_MAX_BYTES,
    });
  }

  sweep(): void {
    // Clients go with their allocations.
  }

  async close(): Promise<void> {
    await this.#socket?.close();
  }

  /** Remembers a client while it has an allocation. */
  keep(client: UdpClient): void {
    const host = client.remote.key;
    let ports = this.#clients.get(host);
    if (ports === undefined) {
      ports = new Map();
      this.#clients.set(host, ports);
    }
    if (!ports.has(client.remotePort)) this.#clientCount++;
    ports.set(client.remotePort, client);
  }

  forget(client: UdpClient): void {
    const host = client.remote.key;
    const ports = this.#clients.get(host);
    if (ports?.get(client.remotePort) !== client) return;
    ports.delete(client.remotePort);
    this.#clientCount--;
    if (ports.size === 0) this.#clients.delete(host);
  }

  send(message: Buffer, { remote, remotePort }: UdpClient): void {
    this.#socket?.send(message, 0, message.length, remote, remotePort);
  }

  sendChannelData({ remote, remotePort }: UdpClient, channel: number, buffer: Buffer, bytes: number): void {
    this.#header.writeUInt16BE(channel, 0);
    this.#header.writeUInt16BE(bytes, 2);
    this.#socket?.sendFramed(this.#header, CHANNEL_HEADER_BYTES, buffer, bytes, 0, remote, remotePort);
  }

  sendDataIndication(
    { remote, remotePort }: UdpClient,
    peerAddress: string,
    peerPort: number,
    buffer: Buffer,
    bytes: number,
  ): void {
    const headerBytes = writeDataHeader(this.#header, peerAddress, peerPort, bytes);
    const paddingBytes = padded(bytes) - bytes;
    this.#socket?.sendFramed(this.#header, headerBytes, buffer, bytes, paddingBytes, remote, remotePort);
  }

  #onPacket(buffer: Buffer, bytes: number, host: number | string, port: number): void {
    if (bytes < CHANNEL_HEADER_BYTES || port === 0) {
      this.#drops.malformed++;
      return;
    }
    const first = buffer[0] as number;
    const known = this.#clients.get(host)?.get(port);
    if (isChannelData(first)) {
      const allocation = known?.allocation;
      if (allocation === undefined) this.#drops.unknownClient++;
      else allocation.port.relayChannelData(buffer, bytes);
    } else if (first <= 0x3f) {
      this.#handler.receive(known ?? this.#stranger(host, port), buffer.subarray(0, bytes));
    } else {
      this.#drops.malformed++;
    }
  }

  #stranger(host: number | string, port: number): UdpClient {
    return new UdpClient(this, new HostAddress(typeof host === 'number' ? ipv4ToText(host) : host), port);
  }
}
