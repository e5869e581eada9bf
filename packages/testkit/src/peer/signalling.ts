import { once } from 'node:events';
import { type ClientFrame, type ServerFrame, type ServerFrameOf, serverFrameSchema } from '@orama/protocol';
import { WebSocket } from 'ws';

export interface SignallingTarget {
  /** Base URL of a gateway: `http://127.0.0.1:6080`. */
  gateway: string;
  /** Host that names the namespace: `ns-demo.orama.localhost`. */
  host: string;
  apiKey: string;
  room: string;
}

/** How a signalling socket ended. */
export interface CloseInfo {
  code: number;
  reason: string;
}

/** A signalling WebSocket that keeps every frame it got, checked against the protocol's schemas. */
export class SignallingClient {
  readonly socket: WebSocket;
  /** Frames in order of arrival. */
  readonly frames: ServerFrame[] = [];
  readonly closed: Promise<CloseInfo>;
  #lookers = new Set<() => void>();
  #closeInfo: CloseInfo | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => {
      this.frames.push(serverFrameSchema.parse(JSON.parse(String(data))));
      this.#wake();
    });
    socket.on('error', () => {
      // The close event that follows tells how it ended.
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.#closeInfo = { code, reason: reason.toString() };
        resolve(this.#closeInfo);
        this.#wake();
      });
    });
  }

  /** Opens the socket through a gateway. Rejects when the upgrade is refused. */
  static async open(target: SignallingTarget): Promise<SignallingClient> {
    const url = new URL('/v1/webrtc/signal', target.gateway.replace(/^http/, 'ws'));
    url.search = new URLSearchParams({ room: target.room, api_key: target.apiKey }).toString();
    const socket = new WebSocket(url, { headers: { host: target.host }, handshakeTimeout: 5_000 });
    const client = new SignallingClient(socket);
    await once(socket, 'open');
    return client;
  }

  send(frame: ClientFrame): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Sends anything, for what must be refused. */
  sendRaw(data: string | Buffer): void {
    this.socket.send(data);
  }

  /** The first frame from position `from` on that `accept` takes, now or later; rejects on the socket's end or after `timeoutMs`. */
  async next<T extends ServerFrame['type']>(
    type: T,
    { accept = () => true, from = 0, timeoutMs = 10_000 }: NextOptions<T> = {},
  ): Promise<ServerFrameOf<T>> {
    return await new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        clearTimeout(timer);
        this.#lookers.delete(look);
        finish();
      };
      const fail = (why: string) =>
        end(() =>
          reject(new Error(`no "${type}" frame: ${why}; got ${this.frames.map((each) => each.type).join(', ')}`)),
        );
      const look = () => {
        const found = this.frames
          .slice(from)
          .find((frame): frame is ServerFrameOf<T> => frame.type === type && accept(frame as ServerFrameOf<T>));
        if (found) end(() => resolve(found));
        else if (this.#closeInfo) fail(`the socket closed with ${this.#closeInfo.code} ${this.#closeInfo.reason}`);
      };
      const timer = setTimeout(() => fail(`not within ${timeoutMs} ms`), timeoutMs);
      this.#lookers.add(look);
      look();
    });
  }

  /** Calls `listener` after every frame. */
  onFrame(listener: () => void): void {
    this.#lookers.add(listener);
  }

  async close(): Promise<CloseInfo> {
    this.socket.close(1000);
    return await this.closed;
  }

  #wake(): void {
    for (const look of [...this.#lookers]) look();
  }
}

export interface NextOptions<T extends ServerFrame['type']> {
  accept?: (frame: ServerFrameOf<T>) => boolean;
  from?: number;
  timeoutMs?: number;
}
