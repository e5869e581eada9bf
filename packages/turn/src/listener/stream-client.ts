import type { Socket } from 'node:net';
import type { Clock } from '@orama/core';
import type { Allocation, EndReason } from '../allocation/allocation.ts';
import type { DropCounters } from '../relay/relay.ts';
import { encodeChannelData, FRAME_MAX_BYTES, FrameReader, isChannelData } from '../stun/index.ts';
import type { ClientTransport, PacketHandler } from './client-transport.ts';
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
export type CloseReason = 'idle' | 'half-read' | 'malformed' | 'slow-reader' | 'too-many' | 'server-stopped';

export interface StreamClientOptions {
  handler: PacketHandler;
  drops: DropCounters;
  clock: Clock;
}

/** One connection of a stream listener: frames in, frames out, and the clock of its patience. */
export class StreamClient implements ClientTransport {
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

  constructor(protocol: 'tcp' | 'tls', socket: Socket, options: StreamClientOptions) {
    this.protocol = protocol;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.id = `${protocol} ${this.remoteAddress} ${this.remotePort} ${this.localAddress} ${socket.localPort}`;
    this.#socket = socket;
    this.#handler = options.handler;
    this.#drops = options.drops;
    this.#clock = options.clock;
    this.#idleSinceMs = options.clock.monotonic();
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
