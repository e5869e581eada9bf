import { type Clock, issueTurnCredentials, UserError } from '@orama/core';
import { roomIdSchema, whipQuerySchema } from '@orama/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Authenticator } from '../auth/authenticator.ts';
import type { HttpSessionName, HttpSessionService } from '../rooms/http-sessions.ts';
import { PREFLIGHT_HEADERS } from '../server.ts';
import type { TurnUris } from '../turn-uris.ts';
import type { WebrtcSettingsReader } from '../webrtc-settings.ts';
import { defineResource, parseInput } from './resource.ts';

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';

interface Deps {
  authenticator: Authenticator;
  sessions: HttpSessionService;
  settings: WebrtcSettingsReader;
  turnUris: TurnUris;
  clock: Clock;
}

/**
 * WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): `/v1/webrtc/whip/<room>` and `/v1/webrtc/whep/<room>` take an offer
 * and name a session below them, which takes candidates and ICE restarts and is ended by DELETE.
 */
export async function routeWhip(app: FastifyInstance, deps: Deps): Promise<void> {
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser([SDP, FRAGMENT], { parseAs: 'string' }, (_request, body, done) => done(null, body));
    scope.addContentTypeParser('*', (_request, _payload, done) => done(unsupported()));
    for (const kind of ['whip', 'whep'] as const) routeKind(scope, kind, deps);
  });
}

function routeKind(app: FastifyInstance, kind: 'whip' | 'whep', deps: Deps): void {
  const { authenticator, sessions } = deps;
  const endpoint = `/v1/webrtc/${kind}/:room`;
  const resource = `${endpoint}/:session`;

  defineResource(app, authenticator, endpoint, {
    POST: {
      role: 'member',
      async handle(request, principal, reply) {
        const room = roomOf(request);
        const { name, peer } = parseInput(whipQuerySchema, request.query, 'the query');
        const offer = bodyOf(request, SDP);
        const opened = await sessions.open(principal, { room, kind, offer, name, publisher: peer });
        await linkIceServers(deps, principal.namespace, reply);
        reply.headers({
          'content-type': SDP,
          location: `/v1/webrtc/${kind}/${encodeURIComponent(room)}/${opened.session}`,
          etag: opened.etag,
          'accept-patch': FRAGMENT,
          'cache-control': 'no-store',
        });
        return reply.code(201).send(opened.answer);
      },
    },
  });

  defineResource(app, authenticator, resource, {
    PATCH: {
      role: 'member',
      async handle(request, principal, reply) {
        const fragment = bodyOf(request, FRAGMENT);
        const ifMatch = request.headers['if-match'];
        if (ifMatch === undefined)
          throw new UserError('PRECONDITION_REQUIRED', 'the If-Match header is missing', {
            hint: "send the session's ETag, or * to restart ICE",
          });
        const answer = await sessions.ice(principal, sessionOf(request), { fragment, ifMatch });
        reply.header('etag', answer.etag);
        if (answer.fragment === null) return reply.code(204).send();
        return reply.header('content-type', FRAGMENT).send(answer.fragment);
      },
    },
    DELETE: {
      role: 'member',
      async handle(request, principal, reply) {
        await sessions.close(principal, sessionOf(request));
        // As RFC 9725 shows it: OBS, for one, takes any other status for a failure.
        return reply.code(200).send();
      },
    },
  });

  // The plugin for CORS answers preflights with nothing else, while clients also ask what is possible here.
  const config = { cors: { preflight: false } };
  app.options(endpoint, { config }, async (request, reply) => {
    reply.headers({ ...PREFLIGHT_HEADERS, allow: 'POST, OPTIONS', 'accept-post': SDP });
    if (request.headers.authorization !== undefined || request.headers['x-api-key'] !== undefined) {
      const { namespace } = await authenticator.authenticate(request.headers, null);
      await linkIceServers(deps, namespace, reply);
    }
    return reply.code(204).send();
  });
  app.options(resource, { config }, (_request, reply) =>
    reply
      .headers({ ...PREFLIGHT_HEADERS, allow: 'PATCH, DELETE, OPTIONS', 'accept-patch': FRAGMENT })
      .code(204)
      .send(),
  );
}

/** TURN servers with credentials, one `Link` header each (RFC 9725 section 4.6). */
async function linkIceServers({ settings, turnUris, clock }: Deps, namespace: string, reply: FastifyReply) {
  const { turnSecret: secret, credentialTtlSec: ttlSec } = await settings.of(namespace);
  const known = await turnUris.of(namespace);
  if (known.length === 0) return;
  const issued = issueTurnCredentials({ secret, namespace, ttlSec, uris: known, nowMs: clock.now() });
  const { uris, username, password } = issued;
  const credential = `username="${username}"; credential="${password}"; credential-type="password"`;
  reply.header(
    'link',
    uris.map((uri) => `<${uri}>; rel="ice-server"; ${credential}`),
  );
}

function roomOf(request: FastifyRequest): string {
  return parseInput(roomIdSchema, (request.params as { room: string }).room, 'the room id');
}

function sessionOf(request: FastifyRequest): HttpSessionName {
  return { room: roomOf(request), session: (request.params as { session: string }).session.slice(0, 64) };
}

/** The body as text, if it is of the type that the resource takes. */
function bodyOf(request: FastifyRequest, type: string): string {
  const given = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (given !== type || typeof request.body !== 'string') throw unsupported();
  return request.body;
}

function unsupported(): UserError {
  return new UserError('UNSUPPORTED_MEDIA_TYPE', 'the body is not of the type that is taken here', {
    hint: `POST takes ${SDP}, PATCH ${FRAGMENT}`,
  });
}
