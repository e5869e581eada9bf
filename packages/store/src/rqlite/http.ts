import { createWriteStream } from 'node:fs';
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { pipeline } from 'node:stream/promises';

/** An answer that would fill the memory of whoever asked. */
const ANSWER_MAX_BYTES = 32 * 1024 * 1024;
/** Idle connections are given up before rqlited does, so that a request seldom meets one that is being closed. */
const IDLE_MS = 20_000;

export interface RqliteRequest {
  method: 'GET' | 'POST' | 'DELETE';
  /** With the query. */
  path: string;
  /** JSON text, or the bytes of a database. */
  body?: string | Buffer;
}

export interface RqliteAnswer {
  status: number;
  /** Of a redirect. */
  location: string | undefined;
  body: Buffer;
}

/** There was no whole answer in time; the request may have been carried out, or may yet be. */
class AnswerTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/** The answer was whole but of a size that we do not take. */
export class AnswerTooLargeError extends Error {
  constructor() {
    super(`the answer is larger than ${ANSWER_MAX_BYTES} bytes`);
  }
}

/** Single HTTP exchanges with rqlited processes, on kept connections. Follows nothing and retries nothing. */
export class RqliteHttp {
  readonly #http = new HttpAgent({ keepAlive: true, timeout: IDLE_MS });
  readonly #https: HttpsAgent;
  readonly #headers: Record<string, string>;

  /**
   * @param credentials `user:password` of HTTP basic authentication (RFC 7617)
   * @param ca PEM certificates to trust instead of the system's
   */
  constructor(credentials: string | undefined, ca: string | undefined) {
    this.#https = new HttpsAgent({ keepAlive: true, timeout: IDLE_MS, ...(ca === undefined ? {} : { ca }) });
    this.#headers =
      credentials === undefined ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` };
  }

  /** Rejects with the socket's error, AnswerTimeoutError or AnswerTooLargeError. */
  async call(origin: string, request: RqliteRequest, timeoutMs: number): Promise<RqliteAnswer> {
    const { call, response } = this.#begin(origin, request);
    const timer = setTimeout(() => call.destroy(new AnswerTimeoutError(timeoutMs)), timeoutMs);
    try {
      const answer = await response;
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > ANSWER_MAX_BYTES) throw new AnswerTooLargeError();
        chunks.push(chunk);
      }
      return { status: answer.statusCode ?? 0, location: answer.headers.location, body: Buffer.concat(chunks) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Writes the body of an answer to a file, and onto the disk. Rejects when nothing comes for `idleMs`. */
  async download(origin: string, path: string, file: string, idleMs: number): Promise<void> {
    const { call, response } = this.#begin(origin, { method: 'GET', path });
    call.setTimeout(idleMs, () => call.destroy(new AnswerTimeoutError(idleMs)));
    const answer = await response;
    if (answer.statusCode !== 200) {
      answer.destroy();
      throw new Error(`status ${answer.statusCode}`);
    }
    await pipeline(answer, createWriteStream(file, { flags: 'r+', flush: true }));
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #begin(
    origin: string,
    { method, path, body }: RqliteRequest,
  ): { call: ClientRequest; response: Promise<IncomingMessage> } {
    const url = new URL(path, origin);
    const headers: Record<string, string | number> = { ...this.#headers };
    if (body !== undefined) {
      headers['content-type'] = typeof body === 'string' ? 'application/json' : 'application/octet-stream';
      headers['content-length'] = Buffer.byteLength(body);
    }
    const call =
      url.protocol === 'https:'
        ? requestHttps(url, { method, headers, agent: this.#https })
        : requestHttp(url, { method, headers, agent: this.#http });
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      call.on('response', resolve);
      // Stays for the time after the answer began, when the body's own error tells of it.
      call.on('error', reject);
    });
    call.end(body);
    return { call, response };
  }
}
