import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Hosts as browsers send them; anything else is not repeated in a header. */
const PLAIN_HOST = /^[a-z0-9.:[\]-]{1,255}$/i;

/** `/call`: the built call page. It holds nothing secret; its key comes in the URL's fragment, which browsers keep. */
export async function routeCallPage(app: FastifyInstance, directory: string): Promise<void> {
  await app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      reply.headers({
        'content-security-policy': contentSecurityPolicy(request),
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
      });
    });
    scope.get('/call', (request, reply) => {
      const query = request.url.slice('/call'.length);
      return reply.redirect(`/call/${query}`);
    });
    await scope.register(fastifyStatic, {
      root: directory,
      prefix: '/call/',
      dotfiles: 'deny',
      cacheControl: false,
      setHeaders: (response, path) => {
        // Built assets carry a hash in their names; the page itself must always be the newest.
        const isHashed = path.includes('/assets/');
        response.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-store');
      },
    });
  });
}

function contentSecurityPolicy(request: FastifyRequest): string {
  const host = request.headers.host ?? '';
  // Not every browser lets 'self' mean the WebSockets of the same host.
  const sockets = PLAIN_HOST.test(host) ? ` ws://${host} wss://${host}` : '';
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self' blob: mediastream:",
    `connect-src 'self'${sockets}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
