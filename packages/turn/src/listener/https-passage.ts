import { connect, type Socket } from 'node:net';
import { type ConnectionEnds, proxyHeader } from './proxy-header.ts';

/** The HTTPS server must take a connection within this. */
const CONNECT_MS = 5_000;
/** A connection on which nothing moves in either direction is closed after this. */
const IDLE_MS = 600_000;
/** The same, once one of the two has said its last word. */
const HALF_CLOSED_MS = 30_000;

/**
 * A connection that is for the HTTPS server beside us: passed on byte for byte, in front of it who the client is. The end of
 * either direction is passed on by itself, and neither is read faster than the other side takes it.
 */
export class HttpsPassage {
  readonly #client: Socket;
  readonly #server: Socket;
  #connected = false;
  #moved = 0;
  #movedAtMs: number;

  /**
   * @param client is paused, and what was read of it is in `begin`
   * @param onFault told when the server cannot be reached
   * @param onClosed told when both ends are closed
   */
  constructor(options: {
    client: Socket;
    ends: ConnectionEnds;
    begin: Buffer;
    to: { address: string; port: number };
    nowMs: number;
    onFault: (error: Error) => void;
    onClosed: () => void;
  }) {
    const { client, to } = options;
    this.#client = client;
    this.#movedAtMs = options.nowMs;
    client.allowHalfOpen = true;
    const server = connect({ host: to.address, port: to.port, allowHalfOpen: true, noDelay: true });
    this.#server = server;
    server.once('connect', () => {
      this.#connected = true;
    });
    server.on('error', (error) => {
      if (!this.#connected) options.onFault(error);
      client.destroy();
    });
    client.on('error', () => server.destroy());
    const closed = (other: Socket) => {
      if (other.closed) options.onClosed();
      // What was sent before is still for the other one.
      else if (this.#connected) other.destroySoon();
      else other.destroy();
    };
    server.on('close', () => closed(client));
    client.on('close', () => closed(server));
    server.write(proxyHeader(options.ends));
    server.write(options.begin);
    client.pipe(server);
    server.pipe(client);
  }

  /** Whether it has stood still for too long. */
  overdue(nowMs: number): boolean {
    const moved = [this.#client, this.#server].reduce((sum, one) => sum + one.bytesRead + one.bytesWritten, 0);
    if (moved !== this.#moved) {
      this.#moved = moved;
      this.#movedAtMs = nowMs;
    }
    return nowMs - this.#movedAtMs >= this.#patienceMs;
  }

  destroy(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  get #patienceMs(): number {
    if (!this.#connected) return CONNECT_MS;
    const ends = [this.#client, this.#server];
    return ends.some((one) => one.readableEnded || one.closed) ? HALF_CLOSED_MS : IDLE_MS;
  }
}
