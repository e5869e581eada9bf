import { createServer, type Server, type Socket } from 'node:net';
import type { Clock, Logger } from '@orama/core';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import type { DropCounters } from '../relay/relay.ts';
import { encodeChannelData, FRAME_MAX_BYTES, FrameReader, isChannelData } from '../stun/index.ts';
import type { ClientTransport, Listener, PacketHandler } from './client-transport.ts';
import { dataIndicationSize, writeDataIndication } from './data-indication.ts';

/** Largest frame of a client without an allocation: a request with credentials is far below it. */
const STRANGER_FRAME_MAX_BYTES = 2048;
/** Bytes that may wait for a client before data to it is dropped, as UDP would. */
const QUEUE_HIGH_BYTES = 256 * 1024;
/** A reader that has got so far down again has caught up. */
const QUEUE_LOW_BYTES = 64 * 1024;
/** A connection that lost data and has not caught up for so long is closed. */
const SLOW_READER_MS = 10_000;
/** A connection without an allocation is closed after this. */
const IDLE_MS = 30_000;
/** A frame that has begun must end within this. */
const HALF_READ_MS = 10_000;

/** Why a connection was closed by us. */
type CloseReason = 'idle' | 'half-read' | 'malformed' | 'slow-reader' | 'too-many' | 'server-stopped';

export interface StreamListenerOptions {
  protocol: 'tcp' | 'tls';
  address: string;
  port: number;
  handler: PacketHandler;
  drops: DropCounters;
  clock: Clock;
  logger: Logger;
  maxConnections: number;
  maxConnectionsPerSource: number;
  /** Makes the server that accepts connections; plain TCP unless given. */
  createServer?: (accept: (socket: Socket) => void) => Server;
}

/** A TCP (or TLS) port that clients connect to. */
export class StreamListener implements Listener {
  readonly protocol: 'tcp' | 'tls';
  /** Connections closed by us, by reason. */
  readonly closed = new Map<string, number>();
  readonly #options: StreamListenerOptions;
  readonly #server: Server;
  readonly #clients = new Set<StreamClient>();
  readonly #perSource = new Map<string, number>();

  constructor(options: StreamListenerOptions) {
    this.protocol = options.protocol;
    this.#options = options;
    const accept = (socket: Socket) => this.#accept(socket);
    this.#server = options.createServer?.(accept) ?? createServer({ noDelay: true, keepAlive: true }, accept);
  }

  get connectionCount(): number {
    return this.#clients.size;
  }

  start(): Promise<void> {
    const { address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: address, port, backlog: 1024 }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.logger.error({ err: error }, 'stream listener failed'));
        resolve();
      });
    });
  }

  stopAccepting(): void {
    this.#server.close();
  }

  sweep(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const client of this.#clients) {
      const reason = client.overdue(nowMs);
      if (reason !== undefined) this.#drop(client, reason);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve());
      else resolve();
    });
    for (const client of this.#clients) this.#drop(client, 'server-stopped');
    await closed;
  }

  #accept(socket: Socket): void {
    const source = socket.remoteAddress;
    const { maxConnections, maxConnectionsPerSource, clock } = this.#options;
    if (source === undefined || socket.remotePort === undefined) {
      socket.destroy();
      return;
    }
    const own = this.#perSource.get(source) ?? 0;
    if (this.#clients.size >= maxConnections || own >= maxConnectionsPerSource) {
      this.#count('too-many');
      socket.destroy();
      return;
    }
    const client = new StreamClient(this.protocol, socket, this.#options, clock.monotonic());
    this.#clients.add(client);
    this.#perSource.set(source, own + 1);
    // A reset or a failed write is told by 'close', which always follows.
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (!client.read(chunk)) this.#drop(client, 'malformed');
    });
    socket.on('close', () => this.#gone(client, source));
  }

  #drop(client: StreamClient, reason: CloseReason): void {
    if (client.destroyed) return;
    this.#count(reason);
    if (reason !== 'idle' && reason !== 'server-stopped') {
      this.#options.logger.debug({ reason, alloc: client.allocation?.id }, 'stream connection closed');
    }
    if (reason === 'slow-reader') client.endReason = 'slow-reader';
    client.destroy();
  }

  #gone(client: StreamClient, source: string): void {
    this.#clients.delete(client);
    const own = this.#perSource.get(source) ?? 1;
    if (own <= 1) this.#perSource.delete(source);
    else this.#perSource.set(source, own - 1);
    this.#options.handler.clientGone(client, client.endReason);
  }

  #count(reason: CloseReason): void {
    this.closed.set(reason, (this.closed.get(reason) ?? 0) + 1);
  }
}

/** One connection. */
class StreamClient implements ClientTransport {
  readonly protocol: 'tcp' | 'tls';
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly id: string;
  allocating = false;
  endReason: EndReason = 'client-disconnected';
  readonly #socket: Socket;
  readonly #handler: PacketHandler;
  readonly #drops: DropCounters;
  readonly #clock: Clock;
  readonly #frames: FrameReader;
  #allocation: Allocation | undefined;
  /** Since when it has no allocation. */
  #idleSinceMs: number;
  #halfReadSinceMs: number | undefined;
  #slowSinceMs: number | undefined;

  constructor(protocol: 'tcp' | 'tls', socket: Socket, options: StreamListenerOptions, nowMs: number) {
    this.protocol = protocol;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.id = `${protocol} ${this.remoteAddress} ${this.remotePort} ${this.localAddress} ${socket.localPort}`;
    this.#socket = socket;
    this.#handler = options.handler;
    this.#drops = options.drops;
    this.#clock = options.clock;
    this.#idleSinceMs = nowMs;
    this.#frames = new FrameReader((frame) => this.#onFrame(frame), STRANGER_FRAME_MAX_BYTES);
  }

  get open(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  get allocation(): Allocation | undefined {
    return this.#allocation;
  }

  attach(allocation: Allocation): void {
    this.#allocation = allocation;
    this.#frames.maxFrameBytes = FRAME_MAX_BYTES;
  }

  detach(hangUp: boolean): void {
    this.#allocation = undefined;
    if (hangUp) this.#socket.destroy();
    this.#frames.maxFrameBytes = STRANGER_FRAME_MAX_BYTES;
    this.#idleSinceMs = this.#clock.monotonic();
  }

  /** Takes bytes from the connection; false when they make no sense. */
  read(chunk: Buffer): boolean {
    const sound = this.#frames.push(chunk);
    if (this.#frames.halfReadBytes > 0) this.#halfReadSinceMs ??= this.#clock.monotonic();
    return sound;
  }

  /** The reason to close it now, if there is one. */
  overdue(nowMs: number): CloseReason | undefined {
    if (this.#halfReadSinceMs !== undefined && nowMs - this.#halfReadSinceMs >= HALF_READ_MS) return 'half-read';
    if (this.#allocation === undefined && !this.allocating && nowMs - this.#idleSinceMs >= IDLE_MS) return 'idle';
    if (this.#socket.writableLength <= QUEUE_LOW_BYTES) this.#slowSinceMs = undefined;
    return this.#slowSinceMs !== undefined && nowMs - this.#slowSinceMs >= SLOW_READER_MS ? 'slow-reader' : undefined;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  send(message: Buffer): void {
    if (this.#mayQueue(message.length)) this.#socket.write(message);
  }

  sendChannelData(channel: number, data: Buffer): void {
    if (this.#mayQueue(data.length)) this.#socket.write(encodeChannelData(channel, data, true));
  }

  sendDataIndication(peerAddress: string, peerPort: number, data: Buffer): void {
    if (!this.#mayQueue(data.length)) return;
    const message = Buffer.allocUnsafe(dataIndicationSize(data.length));
    this.#socket.write(message.subarray(0, writeDataIndication(message, peerAddress, peerPort, data)));
  }

  #mayQueue(bytes: number): boolean {
    if (!this.open) return false;
    if (this.#socket.writableLength + bytes <= QUEUE_HIGH_BYTES) return true;
    this.#drops.slowReader++;
    this.#slowSinceMs ??= this.#clock.monotonic();
    return false;
  }

  #onFrame(frame: Buffer): void {
    this.#halfReadSinceMs = undefined;
    if (!isChannelData(frame[0] as number)) this.#handler.receive(this, frame);
    else if (this.#allocation === undefined) this.#drops.unknownClient++;
    else this.#allocation.port.relayChannelData(frame);
  }
}
