import type { Socket } from 'node:net';
import type { Clock, Timer } from '@orama/core';
import type { DropReason } from './dns-metrics.ts';

/** A query with all its options is shorter. */
const MAX_QUERY_BYTES = 1024;
/** From one whole query to the next (RFC 7766 section 6.2.3): bytes that trickle do not prolong it. */
const IDLE_MS = 10_000;
/** Answers that the client has not read. */
const MAX_UNREAD_BYTES = 64 * 1024;

export interface TcpConnectionOptions {
  /** The answer to a message; null ends the connection. */
  answer: (message: Buffer) => Buffer | null;
  clock: Clock;
  onEnd: (reason: DropReason | null) => void;
}

/** DNS over one TCP connection (RFC 7766): queries with their length before them, answered in order, as many as come. */
export class TcpConnection {
  readonly #socket: Socket;
  readonly #options: TcpConnectionOptions;
  #pending: Buffer = Buffer.alloc(0);
  #idle: Timer;
  #reason: DropReason | null = null;

  constructor(socket: Socket, options: TcpConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#idle = this.#wait();
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#idle.cancel();
      options.onEnd(this.#reason);
    });
  }

  close(reason: DropReason | null = null): void {
    this.#reason ??= reason;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (rest.length >= 2 && !this.#socket.destroyed) {
      const length = rest.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) this.close('oversized');
      if (rest.length < 2 + length) break;
      this.#reply(rest.subarray(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    this.#pending = rest;
  }

  #reply(message: Buffer): void {
    const bytes = this.#options.answer(message);
    if (!bytes) {
      this.close();
      return;
    }
    const framed = Buffer.allocUnsafe(2 + bytes.length);
    framed.writeUInt16BE(bytes.length, 0);
    bytes.copy(framed, 2);
    this.#socket.write(framed);
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.close('unread');
    this.#idle.cancel();
    if (!this.#socket.destroyed) this.#idle = this.#wait();
  }

  #wait(): Timer {
    return this.#options.clock.after(IDLE_MS, () => this.close('idle'));
  }
}
