import type { IncomingHttpHeaders } from 'node:http';
import { UserError } from '@orama/core';

/** API keys are printable ASCII; anything else is not looked up at all. */
const API_KEY = /^[\x21-\x7e]{16,256}$/;

const HINT = 'send an API key as "X-API-Key: <key>" or "Authorization: Bearer <key>"';

/**
 * The API key a request carries: `X-API-Key`, else `Authorization: ApiKey` or `Bearer`, else, where a query is given, `?api_key=`.
 * @param query the query of a WebSocket, whose opener in a browser cannot set headers; null for every other request,
 *   so that no key ends up in a URL that others log
 * @throws UserError UNAUTHORIZED when there is none, or it has not the form of one
 */
export function readApiKey(headers: IncomingHttpHeaders, query: URLSearchParams | null): string {
  const key = keyFromHeaders(headers) ?? keyFromQuery(query);
  if (key === null) throw unauthorized('a credential is missing');
  if (!API_KEY.test(key)) throw unauthorized('the API key is not valid');
  return key;
}

/** The error of a refused credential; says nothing about which part of it was wrong. */
export function unauthorized(message: string, hint = HINT): UserError {
  return new UserError('UNAUTHORIZED', message, { hint });
}

function keyFromHeaders(headers: IncomingHttpHeaders): string | null {
  const direct = headers['x-api-key'];
  if (typeof direct === 'string' && direct !== '') return direct;
  if (!headers.authorization) return null;
  const [, scheme = '', value = ''] = /^(\S+)\s+(\S+)\s*$/.exec(headers.authorization) ?? [];
  // Clients of WHIP know the bearer scheme only (RFC 9725 section 4.7).
  if (scheme.toLowerCase() === 'apikey' || scheme.toLowerCase() === 'bearer') return value;
  throw unauthorized('the Authorization header is not understood');
}

function keyFromQuery(query: URLSearchParams | null): string | null {
  const key = query?.get('api_key');
  if (key) return key;
  if (query?.get('token')) throw unauthorized('tokens are not accepted here');
  return null;
}
