import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of a request: forwarded, forwarded with its answer lost, or kept until it is let go. */
export type Fate = 'forward' | 'lose-answer' | 'hold';

/** Stands before one rqlited and does to each write what the next fate says. */
export class LossyProxy {
  readonly #target: string;
  readonly #server: Server;
  readonly #held: (() => Promise<string>)[] = [];
  readonly fates: Fate[] = [];

  constructor(target: string) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => void this.#take(incoming, outgoing));
  }

  /** Listens; resolves with its base URL. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Sends on what was held longest; resolves with what rqlited said to it. */
  release(): Promise<string> {
    const held = this.#held.shift();
    if (!held) throw new Error('nothing is held');
    return held();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #take(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const send = () => this.#forward(incoming, Buffer.concat(chunks));
    const fate = incoming.url?.startsWith('/db/execute') ? (this.fates.shift() ?? 'forward') : 'forward';
    if (fate === 'hold') {
      this.#held.push(async () => (await send()).text);
      return;
    }
    const { status, text } = await send();
    if (fate === 'lose-answer') incoming.socket.destroy();
    else outgoing.writeHead(status, { 'content-type': 'application/json' }).end(text);
  }

  #forward({ method = 'GET', url = '/' }: IncomingMessage, body: Buffer): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      request(new URL(url, this.#target), { method, headers, agent: false }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      })
        .on('error', reject)
        .end(body);
    });
  }
}
