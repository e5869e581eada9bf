import { type Clock, formatIssues, type Logger, type Timer } from '@orama/core';
import { type LinkFrame, linkFrameSchema } from '@orama/protocol';
import type { WebSocket } from 'ws';

/** A node that lost its power says nothing: its peers should not stand in the room for long. */
const BEAT_MS = 2_000;
const SILENCE_MS = 7_000;
/** Somebody who reads so slowly is as good as gone. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** Close code without a close frame (RFC 6455 section 7.4.1). */
const LOST = 1006;

/** The signalling socket between two SFUs: checked frames, and an end within seconds when the other is gone. */
export class LinkSocket {
  /** The other end has accepted; only where we opened it. */
  onOpen: (() => void) | null = null;
  onFrame: ((frame: LinkFrame) => void) | null = null;
  /** Called once, also for `close()`; the code is 1006 where the other end is simply gone. */
  onEnd: ((code: number) => void) | null = null;
  readonly #socket: WebSocket;
  readonly #logger: Logger;
  readonly #beat: Timer;
  readonly #clock: Clock;
  #heardMs: number;
  #ended = false;

  constructor(socket: WebSocket, clock: Clock, logger: Logger) {
    this.#socket = socket;
    this.#clock = clock;
    this.#logger = logger;
    this.#heardMs = clock.monotonic();
    this.#beat = clock.every(BEAT_MS, () => this.#checkLife());
    const heard = () => {
      this.#heardMs = clock.monotonic();
    };
    socket.on('ping', heard).on('pong', heard);
    socket.once('open', () => this.#guard(() => this.onOpen?.()));
    socket.on('message', (data: Buffer) => {
      heard();
      if (!this.#ended) this.#guard(() => this.#receive(data));
    });
    // Every error is followed by 'close'.
    socket.on('error', (thrown) => logger.debug({ err: thrown }, 'link socket failed'));
    socket.on('close', (code) => this.#end(code));
  }

  send(frame: LinkFrame): void {
    if (this.#ended || this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      this.#lose('slow reader');
      return;
    }
    this.#socket.send(JSON.stringify(frame));
  }

  /** Sends what is queued, then closes. Idempotent. */
  close(code: number, reason: string): void {
    if (this.#ended) return;
    this.#socket.close(code, reason);
    // Whoever never answers the close would keep the socket.
    this.#clock.after(2_000, () => this.#socket.terminate());
    this.#end(code);
  }

  #receive(data: Buffer): void {
    const parsed = linkFrameSchema.safeParse(JSON.parse(data.toString('utf8')));
    if (parsed.success) this.onFrame?.(parsed.data);
    else this.#logger.error({ detail: formatIssues(parsed.error).slice(0, 500) }, 'link frame not understood');
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#logger.error({ err: thrown }, 'link ended by a fault of ours');
      this.#lose('fault');
    }
  }

  #checkLife(): void {
    if (this.#clock.monotonic() - this.#heardMs >= SILENCE_MS) this.#lose('silent');
    else if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  #lose(reason: string): void {
    this.#logger.warn({ reason }, 'link socket cut off');
    this.#socket.terminate();
    this.#end(LOST);
  }

  #end(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#beat.cancel();
    this.onEnd?.(code);
  }
}
