import type { Clock } from '@orama/core';
import { reportUsage, type UsageRepository } from '@orama/store';
import type { FastifyInstance } from 'fastify';
import type { Authenticator } from '../auth/authenticator.ts';
import { defineResource } from './resource.ts';

/** `GET /v1/webrtc/usage?from=&to=`: what the namespace used, by hour; also after WebRTC was disabled. */
export function routeUsage(
  app: FastifyInstance,
  { authenticator, usage, clock }: { authenticator: Authenticator; usage: UsageRepository; clock: Clock },
): void {
  defineResource(app, authenticator, '/v1/webrtc/usage', {
    GET: {
      role: 'owner',
      handle: (request, { namespace }, reply) => {
        reply.header('cache-control', 'no-store');
        return reportUsage(usage, namespace, request.query, clock.now());
      },
    },
  });
}
