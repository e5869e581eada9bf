import {
  AddressSet,
  type Clock,
  deriveKey,
  describeError,
  KeyedTokenBuckets,
  type Logger,
  OramaError,
  SIGNATURE_HEADER,
  signRequest,
  sourceKey,
  UserError,
} from '@orama/core';
import { CONTROLPLANE_KEY_INFO, type GatewayConfig, OPERATOR_API_PREFIX, OPERATOR_TOKEN } from '@orama/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { unauthorized } from '../auth/credentials.ts';
import { sourceAddress } from '../limits/source.ts';

/** Calls under way at a time; a node's controlplane has other things to do. */
const CALLS_MAX = 32;
/** Longer than a controlplane waits for another one. */
const ANSWER_TIMEOUT_MS = 12_000;
const METHODS = ['GET', 'POST', 'PATCH', 'DELETE'];
const HINT = 'send a token of "orama token create" as "Authorization: Bearer <token>"';

/**
 * `/v1/operator/*`: hands the calls of operators to this node's controlplane, which judges their tokens, in requests
 * signed with the cluster key. Refuses what carries nothing like a token before it reads a body.
 */
export function routeOperator(
  app: FastifyInstance,
  deps: { config: GatewayConfig; clusterKey: string; trustedProxies: AddressSet; clock: Clock; logger: Logger },
): void {
  const { config, trustedProxies, clock, logger } = deps;
  const settings = config.operatorApi;
  const key = deriveKey(deps.clusterKey, CONTROLPLANE_KEY_INFO);
  const perSource = new KeyedTokenBuckets(config.limits.operatorCallsPerSource);
  const allowed = settings?.allowFrom && new AddressSet(settings.allowFrom);
  let underWay = 0;

  app.route({
    method: METHODS,
    url: `${OPERATOR_API_PREFIX}/*`,
    exposeHeadRoute: false,
    async onRequest(request) {
      if (!settings) {
        throw new UserError('NOT_FOUND', 'operators are not served here', {
          hint: 'gateway.operatorApi in the configuration of the node turns it on',
        });
      }
      const source = sourceAddress(request.socket.remoteAddress, request.headers['x-forwarded-for'], trustedProxies);
      if (allowed && !allowed.has(source)) {
        throw new UserError('FORBIDDEN', `operators are not served at ${source}`, {
          hint: 'gateway.operatorApi.allowFrom in the configuration of the node names the networks that are',
        });
      }
      if (!perSource.take(sourceKey(source), clock.monotonic())) {
        throw new UserError('RATE_LIMITED', 'too many calls from this address', { retryable: true });
      }
      if (!OPERATOR_TOKEN.test(request.headers.authorization?.replace(/^Bearer +/i, '') ?? '')) {
        throw unauthorized('there is no operator token', HINT);
      }
    },
    async handler(request, reply) {
      if (!settings) return undefined;
      if (underWay >= CALLS_MAX) {
        throw new OramaError('UNAVAILABLE', 'too many calls of operators are under way', { retryable: true });
      }
      underWay += 1;
      try {
        const answer = await handOn(request, settings.controlplane, key, clock.now());
        if (answer.status === 401 || answer.status === 403) {
          logger.warn({ method: request.method, reason: `status ${answer.status}` }, 'call of an operator refused');
        }
        return await reply
          .code(answer.status)
          .headers({ 'cache-control': 'no-store', ...(answer.body !== '' && { 'content-type': 'application/json' }) })
          .send(answer.body);
      } finally {
        underWay -= 1;
      }
    },
  });
}

async function handOn(
  request: FastifyRequest,
  { address, port }: { address: string; port: number },
  key: Buffer,
  nowMs: number,
): Promise<{ status: number; body: string }> {
  const { method, url: target } = request;
  const url = new URL(`http://${address.includes(':') ? `[${address}]` : address}:${port}${target}`);
  // Nothing but what was judged by its prefix may be signed: "/v1/operator/../internal" is somewhere else.
  if (`${url.pathname}${url.search}` !== target) throw new UserError('INVALID_REQUEST', 'the path is malformed');
  const body = request.body === undefined ? '' : JSON.stringify(request.body);
  try {
    const response = await fetch(url, {
      method,
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      headers: {
        authorization: request.headers.authorization ?? '',
        [SIGNATURE_HEADER]: signRequest(key, method, target, body, nowMs),
        ...(body !== '' && { 'content-type': 'application/json' }),
      },
      ...(body !== '' && { body }),
    });
    return { status: response.status, body: await response.text() };
  } catch (thrown) {
    throw new OramaError('UNAVAILABLE', `the controlplane of this node does not answer: ${describeError(thrown)}`, {
      cause: thrown,
      retryable: true,
      hint: 'look at orama-controlplane on the node, or use the address of another one',
    });
  }
}
