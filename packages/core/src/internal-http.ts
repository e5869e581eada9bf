import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ErrorBody } from '@orama/protocol';
import { bindError } from './bind-error.ts';
import { OramaError, toOramaError } from './errors.ts';
import { VERSION } from './install-dir.ts';
import type { Logger } from './logger.ts';
import type { Registry } from './metrics.ts';

/** An answer of an internal endpoint; `body` is sent as JSON unless it is a string. */
export interface InternalReply {
  status: number;
  body?: unknown;
}

export interface InternalRequest {
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  /** Path with the query, as signed. */
  target: string;
  body: string;
  headers: IncomingMessage['headers'];
}

/** Answers a request, or undefined when it knows no such path. */
export type InternalHandler = (
  request: InternalRequest,
) => InternalReply | undefined | Promise<InternalReply | undefined>;

const MAX_BODY_BYTES = 256 * 1024;

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
      else reject(new OramaError('PAYLOAD_TOO_LARGE', `the body is larger than ${MAX_BODY_BYTES} bytes`));
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
  });
}

/** Methods that change nothing (RFC 9110, 9.2.1). */
const SAFE = new Set(['GET', 'HEAD']);

/**
 * Throws where the client has gone, as happens while this process does not run: it was told that its request failed, and
 * may have asked another process for the opposite since.
 */
async function requireClient(socket: Socket): Promise<void> {
  // The end of a connection is read a turn of the event loop after what came before it.
  await nextTurn();
  await nextTurn();
  if (socket.readableEnded || socket.destroyed) throw new OramaError('UNAVAILABLE', 'the client has gone');
}

/** Path and query of a request target (RFC 9112, 3.2). Takes any text: a target need not be a valid URL. */
export function splitTarget(target: string | undefined): { path: string; query: URLSearchParams } {
  const text = target ?? '/';
  const mark = text.indexOf('?');
  return mark < 0
    ? { path: text, query: new URLSearchParams() }
    : { path: text.slice(0, mark), query: new URLSearchParams(text.slice(mark + 1)) };
}

/**
 * A small HTTP server for our own processes (WireGuard, loopback or a Unix socket): limits, timeouts, error bodies.
 * @param tls where it is reached by other ways, which need it
 */
export function createInternalServer(
  handler: (request: InternalRequest, connection: Socket) => ReturnType<InternalHandler>,
  logger: Logger,
  tls?: ServerOptions,
): Server {
  const send = (response: ServerResponse, reply: InternalReply) => {
    const text =
      typeof reply.body === 'string' ? reply.body : reply.body === undefined ? '' : JSON.stringify(reply.body);
    response.writeHead(reply.status, {
      'content-type': typeof reply.body === 'string' ? 'text/plain; charset=utf-8' : 'application/json',
    });
    response.end(text);
  };
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const target = request.url ?? '/';
    const { path, query } = splitTarget(target);
    const method = request.method ?? 'GET';
    readBody(request)
      .then(async (body) => {
        if (!SAFE.has(method)) await requireClient(request.socket);
        return handler({ method, path, query, target, body, headers: request.headers }, request.socket);
      })
      .then((reply) => send(response, reply ?? { status: 404, body: notFound(method, path) }))
      .catch((thrown: unknown) => {
        const error = toOramaError(thrown);
        if (error.code === 'INTERNAL') logger.error({ err: thrown, method, path }, 'internal request failed');
        if (!response.headersSent) send(response, { status: error.status, body: error.toBody() });
      });
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  server.keepAliveTimeout = 5_000;
  server.maxConnections = 1_000;
  return server;
}

function notFound(method: string, path: string): ErrorBody {
  return new OramaError('NOT_FOUND', `there is no ${method} ${path} here`).toBody();
}

/** Handler of `/healthz` (alive), `/readyz` (useful) and `/metrics`. `ready` answers null, or why not. */
export function healthHandler(
  registry: Registry,
  ready: () => string | null,
  health: () => object = () => ({ status: 'ok' }),
): InternalHandler {
  return async ({ method, path }) => {
    if (method !== 'GET') return undefined;
    if (path === '/healthz') return { status: 200, body: { ...health(), version: VERSION } };
    if (path === '/readyz') {
      const reason = ready();
      return reason === null
        ? { status: 200, body: { status: 'ready' } }
        : { status: 503, body: { status: 'not ready', reason } };
    }
    if (path === '/metrics') return { status: 200, body: withReadiness(await registry.metrics(), ready() === null) };
    return undefined;
  };
}

/** Metrics with what `/readyz` would say: whoever collects the one need not ask for the other. */
export function withReadiness(metrics: string, isReady: boolean): string {
  return `${metrics.trimEnd()}\n# HELP orama_ready Whether the process is ready, as /readyz says\n# TYPE orama_ready gauge\norama_ready ${Number(isReady)}\n`;
}

/**
 * Listens on a TCP address or a Unix socket; rejects with an OramaError that names it and the next step.
 */
export function listen(
  server: Server,
  where: { address: string; port: number; field?: string } | { path: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: NodeJS.ErrnoException) =>
      reject('path' in where ? pathError(cause, where.path) : bindError(cause, { transport: 'tcp', ...where }));
    server.once('error', refuse);
    server.listen('path' in where ? { path: where.path } : { host: where.address, port: where.port }, () => {
      server.off('error', refuse);
      resolve();
    });
  });
}

function pathError(cause: Error, path: string): OramaError {
  const hint = 'check that its folder is there and may be written to, and that no other process listens there';
  return new OramaError('UNAVAILABLE', `listening on ${path} failed: ${cause.message}`, { cause, hint });
}

/** Closes a server; requests under way are answered first, if they are within `graceMs`. */
export function drainServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve();
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Closes a server and every connection it still has. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (!server.listening) return resolve();
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
