import { request } from 'node:http';
import type { NamespaceAccess } from './local-cluster.ts';

export interface GatewayCall {
  /** Number of the node whose gateway is asked. */
  node?: number;
  /** Sent as JSON, or as it is when it is a string, which `headers` may give another type. */
  body?: unknown;
  /** Instead of the namespace's key. */
  headers?: Record<string, string>;
}

export interface GatewayAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** Parsed JSON, or the text when it is none. */
  body: unknown;
}

/** A REST call to a namespace at the gateway of a node. Names below `.localhost` are resolved by browsers only, so the address is used with the name as Host. */
export function callGateway(
  access: NamespaceAccess,
  method: string,
  path: string,
  call: GatewayCall = {},
): Promise<GatewayAnswer> {
  const origin = new URL(access.origin(call.node ?? 1));
  const body = call.body === undefined || typeof call.body === 'string' ? call.body : JSON.stringify(call.body);
  const headers: Record<string, string> = { host: origin.host, ...(call.headers ?? { 'x-api-key': access.apiKey }) };
  if (body !== undefined) headers['content-type'] ??= 'application/json';
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: origin.port, method, path, headers, timeout: 10_000 },
      (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parse(text) }),
        );
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path} was not answered within 10 s`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
