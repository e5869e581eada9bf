import type { Socket } from 'node:net';
import type { Clock } from '@orama/core';
import type { Allocation } from '../allocation/allocation.ts';
import type { DropCounters } from '../relay/relay.ts';
import {
  CHANNEL_HEADER_BYTES,
  FRAME_MAX_BYTES,
  FrameReader,
  type IcmpError,
  isChannelData,
  padded,
  writeChannelData,
} from '../stun/index.ts';
import type { ClientTransport, PacketHandler } from './client-transport.ts';
import { dataIndicationSize, icmpIndication, writeDataIndication } from './data-indication.ts';
import type { StreamOutbox } from './stream-outbox.ts';
import { StreamQueue } from './stream-queue.ts';

/** Largest frame of a client without an allocation: a request with credentials is far below it. */
const STRANGER_FRAME_MAX_BYTES = 2048;
/** Memory that may be held for a client before data to it is dropped, as UDP would. */
const QUEUE_HIGH_BYTES = 256 * 1024;
/** A reader that has got so far down again has caught up. */
const QUEUE_LOW_BYTES = QUEUE_HIGH_BYTES / 2;
/** A connection that lost data and has not caught up for so long is closed. */
const SLOW_READER_MS = 10_000;
/** A connection that has taken nothing of what waits for so long is closed: its call is over by then (RFC 7675). */
const STALLED_MS = 30_000;
/** A connection without an allocation is closed after this. */
const IDLE_MS = 30_000;
/** A frame that has begun must end within this. */
const HALF_READ_MS = 10_000;
/** A TLS handshake must be done within this. */
const HANDSHAKE_MS = 10_000;
/** A client that has said its last word gets what is left for it within this. */
const LINGER_MS = 10_000;

/** Why a connection was closed by us. */
export type CloseReason =
  | 'handshake-failed'
  | 'handshake-timeout'
  | 'https-unreachable'
  | 'half-read'
  | 'idle'
  | 'linger'
  | 'malformed'
  | 'rate-limited'
  | 'server-stopped'
  | 'slow-reader'
  | 'too-many';

export interface StreamClientOptions {
  handler: PacketHandler;
  drops: DropCounters;
  clock: Clock;
  outbox: StreamOutbox;
  sharedPort: number | undefined;
}

/** One connection of a stream listener: frames in, frames out, and the clock of its patience. */
export class StreamClient implements ClientTransport {
  readonly protocol: 'tcp' | 'tls';
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly sharedPort: number | undefined;
  readonly id: string;
  allocating = false;
  /** Set when it is us who close. */
  closeReason: CloseReason | undefined;
  readonly #socket: Socket;
  readonly #handler: PacketHandler;
  readonly #drops: DropCounters;
  readonly #clock: Clock;
  readonly #frames: FrameReader;
  readonly #outbox: StreamOutbox;
  readonly #queue: StreamQueue;
  #allocation: Allocation | undefined;
  #handshaking: boolean;
  /** Since when it has no allocation. */
  #idleSinceMs: number;
  #halfReadSinceMs: number | undefined;
  #slowSinceMs: number | undefined;
  #endedSinceMs: number | undefined;

  constructor(protocol: 'tcp' | 'tls', socket: Socket, options: StreamClientOptions) {
    this.protocol = protocol;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.sharedPort = options.sharedPort;
    this.id = `${protocol} ${this.remoteAddress} ${this.remotePort} ${this.localAddress} ${socket.localPort}`;
    this.#socket = socket;
    this.#handler = options.handler;
    this.#drops = options.drops;
    this.#clock = options.clock;
    this.#outbox = options.outbox;
    this.#queue = new StreamQueue(socket, options.clock, protocol === 'tls' ? 2 : 1);
    this.#handshaking = protocol === 'tls';
    this.#idleSinceMs = options.clock.monotonic();
    this.#frames = new FrameReader((frame) => this.#onFrame(frame), STRANGER_FRAME_MAX_BYTES);
  }

  get open(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  /** True until a TLS connection is set up. */
  get handshaking(): boolean {
    return this.#handshaking;
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
    if (hangUp) this.destroy();
    this.#frames.maxFrameBytes = STRANGER_FRAME_MAX_BYTES;
    this.#idleSinceMs = this.#clock.monotonic();
  }

  /** The TLS handshake is done. */
  opened(): void {
    this.#handshaking = false;
  }

  /** The client sends no more; the connection closes when it has read what waits for it. */
  ended(): void {
    this.#outbox.flush();
    this.#queue.flush();
    this.#endedSinceMs = this.#clock.monotonic();
  }

  /** Takes bytes from the connection; false when they make no sense. */
  read(chunk: Buffer): boolean {
    const sound = this.#frames.push(chunk);
    if (this.#frames.halfReadBytes > 0) this.#halfReadSinceMs ??= this.#clock.monotonic();
    return sound;
  }

  /** The reason to close it now, if there is one. */
  overdue(nowMs: number): CloseReason | undefined {
    if (this.#handshaking) return nowMs - this.#idleSinceMs >= HANDSHAKE_MS ? 'handshake-timeout' : undefined;
    if (isOver(this.#endedSinceMs, LINGER_MS, nowMs)) return 'linger';
    if (isOver(this.#halfReadSinceMs, HALF_READ_MS, nowMs)) return 'half-read';
    if (this.#allocation === undefined && !this.allocating && isOver(this.#idleSinceMs, IDLE_MS, nowMs)) return 'idle';
    if (isOver(this.#queue.stalledSinceMs, STALLED_MS, nowMs)) return 'slow-reader';
    if (this.#queue.heldBytes <= QUEUE_LOW_BYTES) this.#slowSinceMs = undefined;
    return isOver(this.#slowSinceMs, SLOW_READER_MS, nowMs) ? 'slow-reader' : undefined;
  }

  /** Closes the connection; what has been sent so far is still written. */
  destroy(): void {
    this.#outbox.flush();
    this.#socket.destroy();
  }

  send(message: Buffer): void {
    if (!this.#mayQueue(message.length)) return;
    message.copy(this.#outbox.reserve(this.#queue, message.length));
    this.#outbox.commit(message.length);
  }

  sendChannelData(channel: number, buffer: Buffer, bytes: number): void {
    const frameBytes = padded(CHANNEL_HEADER_BYTES + bytes);
    if (!this.#mayQueue(frameBytes)) return;
    const frame = this.#outbox.reserve(this.#queue, frameBytes);
    this.#outbox.commit(writeChannelData(frame, channel, buffer.subarray(0, bytes), true));
  }

  sendDataIndication(peerAddress: string, peerPort: number, buffer: Buffer, bytes: number): void {
    const frameBytes = dataIndicationSize(bytes);
    if (!this.#mayQueue(frameBytes)) return;
    const frame = this.#outbox.reserve(this.#queue, frameBytes);
    this.#outbox.commit(writeDataIndication(frame, peerAddress, peerPort, buffer.subarray(0, bytes)));
  }

  sendIcmpIndication(peerAddress: string, peerPort: number, error: IcmpError): void {
    this.send(icmpIndication(peerAddress, peerPort, error));
  }

  #mayQueue(bytes: number): boolean {
    if (!this.open) return false;
    const held = this.#queue.heldBytes + this.#outbox.waiting(this.#queue);
    if (held + bytes <= QUEUE_HIGH_BYTES) return true;
    this.#drops.slowReader++;
    this.#slowSinceMs ??= this.#clock.monotonic();
    return false;
  }

  #onFrame(frame: Buffer): void {
    this.#halfReadSinceMs = undefined;
    if (this.#socket.destroyed) return;
    if (!isChannelData(frame[0] as number)) this.#handler.receive(this, frame);
    else if (this.#allocation === undefined) this.#drops.unknownClient++;
    else this.#allocation.port.relayChannelData(frame, frame.length);
  }
}

function isOver(sinceMs: number | undefined, limitMs: number, nowMs: number): boolean {
  return sinceMs !== undefined && nowMs - sinceMs >= limitMs;
}
