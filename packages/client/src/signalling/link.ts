import type { ClientFrame, ServerFrame } from '@orama/protocol';
import type { Clock, Timer } from '../clock.ts';
import { ClientError } from '../errors.ts';
import { decodeFrame, encodeFrame } from './codec.ts';
import { judgeClose, type LastWords, type Verdict } from './verdict.ts';

/** A ping goes out this often, so that a dead network is seen while the peer can still be resumed. */
const PING_EVERY_MS = 5_000;
/** Nothing heard for so long: the connection is dead, whatever the operating system thinks. */
const SILENCE_MS = 12_000;

export interface LinkHandlers {
  onOpen(): void;
  onFrame(frame: ServerFrame): void;
  /** Called once, unless we closed the link ourselves. */
  onClose(verdict: Verdict): void;
}

/** One signalling WebSocket: frames in and out, heartbeat, and a single verdict at its end. */
export class SignallingLink {
  readonly #socket: WebSocket;
  readonly #handlers: LinkHandlers;
  readonly #clock: Clock;
  readonly #heartbeat: Timer;
  #lastHeardAt: number;
  #words: LastWords | undefined;
  #closed = false;

  /** @throws SyntaxError from the WebSocket constructor when `url` is not one */
  constructor(url: string, WebSocketClass: typeof WebSocket, clock: Clock, handlers: LinkHandlers) {
    this.#handlers = handlers;
    this.#clock = clock;
    this.#lastHeardAt = clock.monotonic();
    this.#socket = new WebSocketClass(url);
    this.#socket.onopen = () => {
      if (!this.#closed) handlers.onOpen();
    };
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#end(judgeClose(event.code, this.#words));
    // An error is always followed by a close, which carries all there is to know.
    this.#socket.onerror = () => {};
    this.#heartbeat = clock.every(PING_EVERY_MS, () => this.#beat());
  }

  /** The server's last `error`, `kicked` or `room-closed`, as the verdict of a close would read it. */
  get verdictSoFar(): Verdict | undefined {
    return this.#words && judgeClose(0, this.#words);
  }

  /** Sends a frame; false when the socket is not open. */
  send(frame: ClientFrame): boolean {
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return false;
    this.#socket.send(encodeFrame(frame));
    return true;
  }

  /** Closes without a verdict. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#heartbeat.cancel();
    this.#socket.close(1000);
  }

  #receive(data: unknown): void {
    if (this.#closed) return;
    this.#lastHeardAt = this.#clock.monotonic();
    const frame = decodeFrame(data);
    if (!frame) return;
    if (frame.type === 'ping') this.send({ type: 'pong', ...(frame.id === undefined ? {} : { id: frame.id }) });
    if (frame.type === 'error') {
      this.#words = { type: 'error', code: frame.code, text: frame.message, hint: frame.hint };
    } else if (frame.type === 'kicked' || frame.type === 'room-closed') {
      this.#words = { type: frame.type, code: frame.code, text: frame.reason };
    } else {
      // Words count only when they are the last: an error that the call outlived does not explain a later close.
      this.#words = undefined;
    }
    if (frame.type !== 'ping' && frame.type !== 'pong') this.#handlers.onFrame(frame);
  }

  #beat(): void {
    if (this.#clock.monotonic() - this.#lastHeardAt > SILENCE_MS) {
      const error = new ClientError('timeout', `nothing heard from the server for ${SILENCE_MS / 1000} s`);
      this.#end({ error, recovery: 'resume' });
    } else {
      this.send({ type: 'ping' });
    }
  }

  #end(verdict: Verdict): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onClose(verdict);
  }
}
