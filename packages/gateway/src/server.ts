import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import {
  type AddressSet,
  type Clock,
  KeyedTokenBuckets,
  type Logger,
  OramaError,
  sourceKey,
  UserError,
} from '@orama/core';
import type { GatewayConfig } from '@orama/protocol';
import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { sourceAddress } from './limits/source.ts';
import type { GatewayMetrics } from './metrics.ts';

const BODY_MAX_BYTES = 64 * 1024;
const HEADERS_MAX_BYTES = 16 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 30_000;
/** A room id of 128 characters, each percent-encoded. */
const PATH_PARAM_MAX = 3 * 128;
const PERMISSIONS_POLICY = 'camera=(self), microphone=(self)';
const RETRY_AFTER_SEC = 1;
/** They come with `Retry-After`. */
const RETRY_STATUSES: readonly number[] = [429, 503];
const CORS_METHODS = ['GET', 'POST', 'PATCH', 'DELETE'];
const CORS_HEADERS = ['authorization', 'content-type', 'if-match', 'x-api-key'];
const CORS_MAX_AGE_SEC = 600;

/** What a preflight is answered with, for routes that answer OPTIONS themselves. */
export const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': CORS_METHODS.join(', '),
  'access-control-allow-headers': CORS_HEADERS.join(', '),
  'access-control-max-age': String(CORS_MAX_AGE_SEC),
};

/**
 * The public HTTP server without its routes: limits, timeouts, CORS, headers of every answer, error bodies.
 * Requests are never logged with their URL, which may carry a key.
 */
export async function createPublicServer(deps: {
  limits: GatewayConfig['limits'];
  trustedProxies: AddressSet;
  clock: Clock;
  logger: Logger;
  metrics: GatewayMetrics;
}): Promise<FastifyInstance> {
  const { limits, clock, logger, metrics } = deps;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_MAX_BYTES,
    connectionTimeout: IDLE_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: HEADERS_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    http: { headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: HEADERS_MAX_BYTES },
    routerOptions: { maxParamLength: PATH_PARAM_MAX },
    clientErrorHandler: refuseMalformed,
    frameworkErrors: (error, _request, reply) => {
      sendError(reply, toPublicError(error));
    },
  });
  app.server.maxConnections = limits.connections;

  const perSource = new KeyedTokenBuckets(limits.requestsPerSource);
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'permissions-policy': PERMISSIONS_POLICY, 'x-content-type-options': 'nosniff' });
  });
  await app.register(cors, {
    // Keys are sent in headers, never as cookies, so that any page may ask; a key's own list of origins narrows it.
    origin: '*',
    methods: CORS_METHODS,
    allowedHeaders: CORS_HEADERS,
    exposedHeaders: ['retry-after', 'location', 'etag', 'link', 'allow', 'accept-post', 'accept-patch'],
    maxAge: CORS_MAX_AGE_SEC,
  });
  app.addHook('onRequest', async (request) => {
    const source = sourceAddress(request.socket.remoteAddress, request.headers['x-forwarded-for'], deps.trustedProxies);
    if (perSource.take(sourceKey(source), clock.monotonic())) return;
    throw new UserError('RATE_LIMITED', 'too many requests from this address', { retryable: true });
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.requests.inc({ route, method: request.method, status: reply.statusCode });
    metrics.requestSeconds.observe({ route }, reply.elapsedTime / 1000);
    logger.debug({ route, method: request.method, status: reply.statusCode, durMs: reply.elapsedTime }, 'request');
  });

  // Fastify's own parser refuses an empty body with a JSON content type, which clients send with a bare POST.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(body.toString()));
    } catch {
      done(new UserError('INVALID_REQUEST', 'the body is not JSON'));
    }
  });

  app.setErrorHandler((thrown: FastifyError | OramaError, request: FastifyRequest, reply) => {
    const error = toPublicError(thrown);
    if (error.status >= 500) {
      logger.error({ err: thrown, route: request.routeOptions.url, reason: error.code }, 'request failed');
    }
    return sendError(reply, error);
  });
  app.setNotFoundHandler((request, reply) =>
    sendError(reply, new UserError('NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0]} here`)),
  );
  return app;
}

/** What a caller is told: our errors as they are, the framework's by their status, everything else INTERNAL. */
function toPublicError(thrown: FastifyError | OramaError): OramaError {
  if (thrown instanceof OramaError) return thrown;
  if (thrown.statusCode === 413) {
    return new UserError('PAYLOAD_TOO_LARGE', `the body is larger than ${BODY_MAX_BYTES} bytes`);
  }
  if (thrown.statusCode === 415) {
    return new UserError('INVALID_REQUEST', 'the body must be JSON', { hint: 'send content-type: application/json' });
  }
  if (thrown.statusCode !== undefined && thrown.statusCode < 500) {
    return new UserError('INVALID_REQUEST', 'the request is malformed');
  }
  return new OramaError('INTERNAL', 'the request failed unexpectedly', {
    hint: "the gateway's log has the details",
    retryable: true,
  });
}

function sendError(reply: FastifyReply, error: OramaError): FastifyReply {
  if (error.code === 'UNAUTHORIZED') reply.header('www-authenticate', ['ApiKey realm="orama"', 'Bearer realm="orama"']);
  if (error.retryable && RETRY_STATUSES.includes(error.status)) reply.header('retry-after', String(RETRY_AFTER_SEC));
  return reply.code(error.status).send(error.toBody());
}

/** Answers bytes that are not HTTP, then hangs up. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(new UserError('INVALID_REQUEST', 'the request is not HTTP').toBody());
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}
