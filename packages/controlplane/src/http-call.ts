import { type ClientRequest, type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import type { Socket } from 'node:net';

const DEFAULT_TIMEOUT_MS = 1_500;
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;

export interface HttpAnswer {
  status: number;
  body: string;
  headers: IncomingHttpHeaders;
}

/** There was no whole answer in time. */
export class CallTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/**
 * One HTTP call to one of our processes over TCP, a Unix socket or what `connect` opens, on a connection of its own: a kept one may belong to
 * a process that was restarted since. Rejects with the socket's error, or CallTimeoutError when there is no answer in time.
 */
export function callHttp(
  where: { address: string; port: number } | { socketPath: string } | { connect: () => Socket },
  method: string,
  path: string,
  options: { body?: string; headers?: Record<string, string>; timeoutMs?: number; maxBytes?: number } = {},
): Promise<HttpAnswer> {
  const { body = '', headers = {}, timeoutMs = DEFAULT_TIMEOUT_MS, maxBytes = ANSWER_MAX_BYTES } = options;
  return new Promise((resolve, reject) => {
    const call: ClientRequest = request(
      {
        ...targetOf(where),
        method,
        path,
        // Node would put another in the place of an empty one, which is right for a server without a name.
        setHost: headers.host === undefined,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > maxBytes) call.destroy(new Error('the answer is too large'));
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks).toString('utf8'),
            headers: { ...response.headers, ...response.trailers },
          }),
        );
        response.on('error', reject);
      },
    );
    const timer = setTimeout(() => call.destroy(new CallTimeoutError(timeoutMs)), timeoutMs);
    call.on('error', reject);
    call.on('close', () => clearTimeout(timer));
    call.end(body);
  });
}

function targetOf(where: Parameters<typeof callHttp>[0]): RequestOptions {
  // An agent, even none, would open the connection itself.
  if ('connect' in where) return { createConnection: where.connect };
  if ('socketPath' in where) return { socketPath: where.socketPath, agent: false };
  return { host: where.address, port: where.port, agent: false };
}
