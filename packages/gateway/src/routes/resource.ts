import { formatIssues, UserError } from '@orama/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Authenticator, Principal, Role } from '../auth/authenticator.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** One method of a resource: who may call it, and what it answers (the body, or undefined after setting a bare status). */
export interface Operation {
  role: Role;
  handle(request: FastifyRequest, principal: Principal, reply: FastifyReply): Promise<unknown>;
}

const ALL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * Registers a resource: each operation behind its authentication, which runs before the body is read, and 405 with
 * `Allow` for every other method.
 */
export function defineResource(
  app: FastifyInstance,
  authenticator: Authenticator,
  url: string,
  operations: Partial<Record<Method, Operation>>,
): void {
  const principals = new WeakMap<FastifyRequest, Principal>();
  const allowed = Object.keys(operations);
  for (const [method, operation] of Object.entries(operations)) {
    app.route({
      method,
      url,
      exposeHeadRoute: false,
      onRequest: async (request) => {
        const principal = await authenticator.authenticate(request.headers, null);
        if (operation.role === 'owner' && principal.role !== 'owner') {
          throw new UserError('FORBIDDEN', 'only an owner of the namespace may do this');
        }
        principals.set(request, principal);
      },
      handler: (request, reply) => operation.handle(request, principals.get(request) as Principal, reply),
    });
  }
  app.route({
    method: ALL_METHODS.filter((method) => !allowed.includes(method)),
    url,
    onRequest: async (request, reply) => {
      reply.header('allow', [...allowed, 'OPTIONS'].join(', '));
      throw new UserError('METHOD_NOT_ALLOWED', `${request.method} is not possible here`, {
        hint: `use ${allowed.join(' or ')}`,
      });
    },
    handler: () => undefined,
  });
}

interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: Parameters<typeof formatIssues>[0] };
}

/** Input as the schema has it. Throws UserError INVALID_REQUEST that lists every problem with its path. */
export function parseInput<T>(schema: Schema<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new UserError('INVALID_REQUEST', `${what} cannot be used:\n${formatIssues(result.error)}`);
}
