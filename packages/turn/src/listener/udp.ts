import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { DropCounters } from '../relay/relay.ts';
import { withoutLookup } from '../relay/udp-relay.ts';
import { CHANNEL_HEADER_BYTES, endpointKey, ipv4ToNumber, isChannelData, writeChannelData } from '../stun/index.ts';
import type { Listener, PacketHandler } from './client-transport.ts';
import { dataIndicationSize, writeDataIndication } from './data-indication.ts';
import { UdpClient } from './udp-client.ts';

/** Receive buffer asked of the system: bursts of key frames from many clients arrive on one socket. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Bytes that may wait in the socket before packets to clients are dropped. */
const SEND_QUEUE_MAX_BYTES = 4 * 1024 * 1024;
/** First size of the buffer that packets to clients are put together in; it grows when a larger one comes. */
const SCRATCH_BYTES = 2048;

/** The UDP port that clients send to. Keeps a table of the clients that have an allocation, and of nobody else. */
export class UdpListener implements Listener {
  readonly protocol = 'udp';
  readonly address: string;
  readonly port: number;
  readonly #handler: PacketHandler;
  readonly #drops: DropCounters;
  readonly #socket: Socket;
  readonly #clients = new Map<number | string, UdpClient>();
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #open = false;
  #closed: Promise<void> | undefined;

  constructor(options: {
    address: string;
    port: number;
    handler: PacketHandler;
    drops: DropCounters;
    /** Whether other workers listen on the same port (SO_REUSEPORT): the system gives each client one of them. */
    reusePort: boolean;
  }) {
    this.address = options.address;
    this.port = options.port;
    this.#handler = options.handler;
    this.#drops = options.drops;
    const ipv6 = ipv4ToNumber(options.address) < 0;
    this.#socket = createSocket({
      type: ipv6 ? 'udp6' : 'udp4',
      ipv6Only: ipv6,
      lookup: withoutLookup,
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      reusePort: options.reusePort,
    });
  }

  /** Clients with an allocation. */
  get clientCount(): number {
    return this.#clients.size;
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.bind({ address: this.address, port: this.port, exclusive: true }, () => {
        this.#socket.removeAllListeners('error');
        // Loss on the way to a client is UDP's to have; the socket goes on.
        this.#socket.on('error', () => undefined);
        this.#socket.on('message', (packet, from) => this.#onPacket(packet, from));
        this.#open = true;
        resolve();
      });
    });
  }

  stopAccepting(): void {
    // A datagram of a newcomer is answered with 508 by the server.
  }

  sweep(): void {
    // Clients go with their allocations.
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#open = false;
      this.#socket.removeAllListeners('message');
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }

  /** Remembers a client while it has an allocation. */
  keep(client: UdpClient): void {
    this.#clients.set(client.key, client);
  }

  forget(client: UdpClient): void {
    if (this.#clients.get(client.key) === client) this.#clients.delete(client.key);
  }

  send(message: Buffer, client: UdpClient): void {
    if (this.#open) this.#socket.send(message, client.remotePort, client.remoteAddress);
  }

  sendChannelData(client: UdpClient, channel: number, data: Buffer): void {
    if (!this.#reserve(CHANNEL_HEADER_BYTES + data.length)) return;
    this.#sendScratch(client, writeChannelData(this.#scratch, channel, data, false));
  }

  sendDataIndication(client: UdpClient, peerAddress: string, peerPort: number, data: Buffer): void {
    if (!this.#reserve(dataIndicationSize(data.length))) return;
    this.#sendScratch(client, writeDataIndication(this.#scratch, peerAddress, peerPort, data));
  }

  #onPacket(packet: Buffer, from: RemoteInfo): void {
    if (packet.length < CHANNEL_HEADER_BYTES || from.port === 0) {
      this.#drops.malformed++;
      return;
    }
    const first = packet[0] as number;
    const key = endpointKey(from.address, from.port);
    if (isChannelData(first)) {
      const allocation = this.#clients.get(key)?.allocation;
      if (allocation === undefined) this.#drops.unknownClient++;
      else allocation.port.relayChannelData(packet);
    } else if (first <= 0x3f) {
      this.#handler.receive(this.#clients.get(key) ?? new UdpClient(this, key, from.address, from.port), packet);
    } else {
      this.#drops.malformed++;
    }
  }

  /** Makes room in the scratch buffer; false when the socket's queue is full and the packet has to be dropped. */
  #reserve(bytes: number): boolean {
    if (!this.#open) return false;
    if (this.#socket.getSendQueueSize() > SEND_QUEUE_MAX_BYTES) {
      this.#drops.sendQueueFull++;
      return false;
    }
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafeSlow(bytes);
    return true;
  }

  #sendScratch(client: UdpClient, length: number): void {
    this.#socket.send(this.#scratch, 0, length, client.remotePort, client.remoteAddress);
    // Nearly always the system has the packet now. When it waits in the queue instead, the queue owns those bytes.
    if (this.#socket.getSendQueueCount() !== 0) this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }
}
