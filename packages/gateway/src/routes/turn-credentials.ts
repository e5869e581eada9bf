import { type Clock, issueTurnCredentials, UserError } from '@orama/core';
import type { FastifyInstance } from 'fastify';
import type { Authenticator } from '../auth/authenticator.ts';
import type { TurnUris } from '../turn-uris.ts';
import type { WebrtcSettingsReader } from '../webrtc-settings.ts';
import { defineResource } from './resource.ts';

/** `POST /v1/webrtc/turn/credentials`: credentials of the caller's namespace, valid for its `ttl`. */
export function routeTurnCredentials(
  app: FastifyInstance,
  deps: { authenticator: Authenticator; settings: WebrtcSettingsReader; turnUris: TurnUris; clock: Clock },
): void {
  defineResource(app, deps.authenticator, '/v1/webrtc/turn/credentials', {
    POST: {
      role: 'member',
      async handle(_request, { namespace }, reply) {
        const settings = await deps.settings.of(namespace);
        const uris = await deps.turnUris.of(namespace);
        if (uris.length === 0) {
          throw new UserError('UNAVAILABLE', `no TURN server serves namespace ${namespace}`, { retryable: true });
        }
        reply.header('cache-control', 'no-store');
        return issueTurnCredentials({
          secret: settings.turnSecret,
          namespace,
          ttlSec: settings.credentialTtlSec,
          uris,
          nowMs: deps.clock.now(),
        });
      },
    },
  });
}
