import type { Clock } from '@orama/core';
import type { WebSocket } from 'ws';

/** Above this many unsent bytes the other side is not read from; below the lower mark it is again. */
const HIGH_WATER_BYTES = 512 * 1024;
const LOW_WATER_BYTES = 64 * 1024;

/** A message as `ws` delivers it. */
export interface Message {
  data: Buffer;
  isBinary: boolean;
}

/** How a socket ended. `code` 1006 means without a close frame. */
export interface Ending {
  code: number;
  reason: string;
}

/** One of the two sockets of a signalling session. Messages wait in order until somebody takes them. */
export class Leg {
  readonly socket: WebSocket;
  /** Settles when the socket has closed. */
  readonly ended: Promise<Ending>;
  readonly #clock: Clock;
  readonly #waiting: Message[] = [];
  #sink: ((message: Message) => void) | null = null;
  #heardAtMs: number;
  #pausedAtMs: number | null = null;
  #isEnded = false;

  constructor(socket: WebSocket, clock: Clock) {
    this.socket = socket;
    this.#clock = clock;
    this.#heardAtMs = clock.monotonic();
    const heard = () => {
      this.#heardAtMs = clock.monotonic();
    };
    socket.on('ping', heard).on('pong', heard);
    // Every error is followed by 'close', which says what came of it.
    socket.on('error', () => {});
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      heard();
      if (this.#sink) this.#sink({ data, isBinary });
      else this.#waiting.push({ data, isBinary });
    });
    this.ended = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#isEnded = true;
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  /** Hands every message over, those that waited first. */
  deliverTo(sink: (message: Message) => void): void {
    this.#sink = sink;
    for (const message of this.#waiting.splice(0)) sink(message);
  }

  /** The first message, which stays in line for `deliverTo`. Null when the socket ended or `timeoutMs` passed before. */
  firstMessage(timeoutMs: number): Promise<Message | null> {
    const [first] = this.#waiting;
    if (first) return Promise.resolve(first);
    return new Promise((resolve) => {
      const settle = () => {
        timer.cancel();
        this.socket.off('message', settle);
        resolve(this.#waiting[0] ?? null);
      };
      const timer = this.#clock.after(timeoutMs, settle);
      this.socket.on('message', settle);
      void this.ended.then(settle);
    });
  }

  /** Stops reading from the network; a few messages already read may still come. */
  pause(): void {
    if (this.#pausedAtMs !== null) return;
    this.#pausedAtMs = this.#clock.monotonic();
    this.socket.pause();
  }

  resume(): void {
    if (this.#pausedAtMs === null) return;
    this.#pausedAtMs = null;
    this.#heardAtMs = this.#clock.monotonic();
    this.socket.resume();
  }

  /** Passes every message on to `other`, reading no faster than `other` takes them. */
  pipeTo(other: Leg): void {
    this.deliverTo(({ data, isBinary }) => {
      if (!other.isOpen) return;
      other.socket.send(data, { binary: isBinary }, () => {
        if (other.socket.bufferedAmount <= LOW_WATER_BYTES) this.resume();
      });
      if (other.socket.bufferedAmount > HIGH_WATER_BYTES) this.pause();
    });
    this.resume();
  }

  /**
   * One beat: asks for a sign of life. False when the socket has shown none for `silenceMs`, or could not be read for so
   * long because the other side takes nothing.
   */
  beat(silenceMs: number): boolean {
    const nowMs = this.#clock.monotonic();
    if (nowMs - (this.#pausedAtMs ?? this.#heardAtMs) > silenceMs) return false;
    if (this.isOpen) this.socket.ping();
    return true;
  }

  /** Closes with a code and a reason of at most 123 bytes; what the peer still sends is dropped. */
  close(code: number, reason: string): void {
    this.deliverTo(() => {});
    this.resume();
    this.socket.close(code, reason);
  }

  /** Ends without a close frame, as if the network had failed. */
  terminate(): void {
    this.socket.terminate();
  }
}

/** Whether a close code that was received may be sent on; 1005, 1006 and 1015 exist only locally (RFC 6455, 7.4). */
export function isSendableCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code < 5000)
  );
}
