import { request } from 'node:http';
import { WebSocket } from 'ws';
import { apiKeyOf, BASE_DOMAIN, type RunningGateway } from './bed.ts';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
}

/** One HTTP request; `host` may differ from the address, which fetch does not allow. */
export function call(
  gateway: RunningGateway,
  method: string,
  path: string,
  options: { host?: string; key?: string | null; headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const { host = `ns-demo.${BASE_DOMAIN}`, key = apiKeyOf('demo'), headers = {}, body } = options;
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${gateway.url}${path}`,
      {
        method,
        agent: false,
        headers: {
          host,
          ...(key === null ? {} : { 'x-api-key': key }),
          ...(text === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      (response) => {
        let content = '';
        response.on('data', (chunk) => {
          content += String(chunk);
        });
        response.on('end', () => {
          const isJson = response.headers['content-type']?.includes('json') && content !== '';
          const status = response.statusCode ?? 0;
          resolve({ status, headers: response.headers, body: isJson ? JSON.parse(content) : content });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

/** A signalling client that keeps what it got. */
export class TestClient {
  readonly socket: WebSocket;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into frames of every shape
  readonly frames: any[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #wake: (() => void)[] = [];

  constructor(
    gateway: RunningGateway,
    options: {
      host?: string;
      query?: Record<string, string>;
      headers?: Record<string, string>;
      protocols?: string[];
      autoPong?: boolean;
    } = {},
  ) {
    const {
      host = `ns-demo.${BASE_DOMAIN}`,
      query = { room: 'r1', api_key: apiKeyOf('demo') },
      headers = {},
    } = options;
    const url = `${gateway.url.replace('http', 'ws')}/v1/webrtc/signal?${new URLSearchParams(query)}`;
    this.socket = new WebSocket(url, options.protocols ?? [], {
      headers: { host, ...headers },
      autoPong: options.autoPong ?? true,
    });
    this.socket.on('error', () => {});
    this.socket.on('message', (data) => {
      this.frames.push(JSON.parse(String(data)));
      for (const wake of this.#wake.splice(0)) wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const wake of this.#wake.splice(0)) wake();
      });
    });
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** The frame at `index`, once it has come. Rejects when the socket closes before. */
  // biome-ignore lint/suspicious/noExplicitAny: as `frames`
  async frame(index: number): Promise<any> {
    while (this.frames.length <= index) {
      if (this.socket.readyState === this.socket.CLOSED) throw new Error(`the socket closed before frame ${index}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.frames[index];
  }
}
