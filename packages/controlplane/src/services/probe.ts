import { type ClientRequest, request } from 'node:http';

const PROBE_TIMEOUT_MS = 1_500;
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;

export interface LocalAnswer {
  status: number;
  body: string;
}

/** Asks one of this node's own processes over TCP or a Unix socket. Throws when there is no answer in time. */
export function askLocal(
  where: { address: string; port: number } | { socketPath: string },
  method: string,
  path: string,
  options: { body?: string; headers?: Record<string, string>; timeoutMs?: number } = {},
): Promise<LocalAnswer> {
  const { body = '', headers = {}, timeoutMs = PROBE_TIMEOUT_MS } = options;
  return new Promise((resolve, reject) => {
    const target = 'socketPath' in where ? { socketPath: where.socketPath } : { host: where.address, port: where.port };
    const call: ClientRequest = request(
      {
        ...target,
        method,
        path,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > ANSWER_MAX_BYTES) call.destroy(new Error('the answer is too large'));
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}
