import { request } from 'node:http';
import { type AddressSet, type Clock, KeyedTokenBuckets, sourceKey, UserError } from '@orama/core';
import type { NodeRow } from '@orama/store';
import type { FastifyInstance } from 'fastify';
import { sourceAddress } from '../limits/source.ts';

const PATH = '/.well-known/acme-challenge/';
/** Tokens of RFC 8555 section 8.1 are base64url. */
const TOKEN = /^[\w-]{1,128}$/;
/** Says that another node asks, so that nobody asks on. */
const ASKED_BY_NODE = 'orama-acme-challenge';
const TIMEOUT_MS = 3_000;
const ANSWER_MAX_BYTES = 1024;
/** Each question becomes one to every other node, which counts them all as this node's. An authority asks once or twice. */
const RATE = { burst: 20, perSec: 2 };

/**
 * HTTP-01 challenges (RFC 8555 section 8.3) that another node's Caddy has the answer of: a name leads to several nodes, and
 * the authority comes to any of them. This node's Caddy sends here what it cannot answer itself.
 */
export function routeAcmeChallenge(
  app: FastifyInstance,
  deps: {
    node: string;
    baseDomain: string;
    /** Where the Caddys of all nodes answer. */
    port: number;
    nodes: () => Promise<readonly NodeRow[]>;
    trustedProxies: AddressSet;
    clock: Clock;
  },
): void {
  const perSource = new KeyedTokenBuckets(RATE);
  const isOurs = (host: string) => /^[a-z0-9.-]{1,253}$/.test(host) && host.endsWith(`.${deps.baseDomain}`);
  app.get<{ Params: { token: string } }>(`${PATH}:token`, async (request, reply) => {
    const { token } = request.params;
    const { headers, hostname, socket } = request;
    const host = hostname.toLowerCase();
    const known = TOKEN.test(token) && isOurs(host) && headers[ASKED_BY_NODE] === undefined;
    const source = sourceAddress(socket.remoteAddress, headers['x-forwarded-for'], deps.trustedProxies);
    if (known && !perSource.take(sourceKey(source), deps.clock.monotonic())) {
      throw new UserError('RATE_LIMITED', 'too many challenges from this address', { retryable: true });
    }
    const others = known ? (await deps.nodes()).filter(({ id, reachable }) => reachable && id !== deps.node) : [];
    try {
      const answer = await Promise.any(
        others.map(({ publicIp }) => ask({ address: publicIp, port: deps.port }, host, token)),
      );
      return await reply.type('text/plain').send(answer);
    } catch {
      throw new UserError('NOT_FOUND', 'no node has this challenge');
    }
  });
}

/** The key authorization that a node's Caddy answers with. Rejects when it has none. */
function ask(where: { address: string; port: number }, host: string, token: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const call = request(
    {
      host: where.address,
      port: where.port,
      path: `${PATH}${token}`,
      agent: false,
      headers: { host, [ASKED_BY_NODE]: '1' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    },
    (answer) => {
      let text = '';
      answer.setEncoding('latin1');
      answer.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_MAX_BYTES) call.destroy(new Error('too long for an answer'));
      });
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode === 200 && text.startsWith(`${token}.`)) resolve(text);
        else reject(new Error(`status ${answer.statusCode}`));
      });
    },
  );
  call.on('error', reject).end();
  return promise;
}
