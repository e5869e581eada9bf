import type { Server } from 'node:http';
import {
  type Clock,
  closeServer,
  createInternalServer,
  deriveKey,
  type InternalHandler,
  type Logger,
  listen,
  OramaError,
  RequestVerifier,
  SIGNATURE_HEADER,
  TokenBucket,
} from '@orama/core';
import { CONTROLPLANE_KEY_INFO, OPERATOR_API_PREFIX } from '@orama/protocol';

/**
 * More calls than operators and nodes make; keeps a runaway caller from starving the reconciler. What is not signed has a
 * bucket of its own, so that strangers cannot lock the operator out.
 */
const CALL_RATE = { burst: 500, perSec: 200 };
/** Of operators with tokens. A gateway signs their calls before anybody knows the token: strangers' are among them. */
const TOKEN_RATE = { burst: 200, perSec: 50 };

export interface ApiServerOptions {
  clusterKey: string;
  listen: readonly { address: string; port: number }[];
  /** Unsigned: /healthz, /readyz, /metrics. */
  health: InternalHandler;
  /** Answered only to signed requests. */
  routes: InternalHandler;
  clock: Clock;
  logger: Logger;
}

/** The controlplane's HTTP API on the WireGuard address and, for the CLI, on loopback. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #servers: Server[];

  constructor(options: ApiServerOptions) {
    this.#options = options;
    // One for all listeners: a request must not be replayed on another address of the same node either.
    const verifier = new RequestVerifier(deriveKey(options.clusterKey, CONTROLPLANE_KEY_INFO));
    this.#servers = options.listen.map(() => createInternalServer(this.#guarded(verifier), options.logger));
  }

  async start(): Promise<void> {
    await Promise.all(
      this.#servers.map(async (server, index) => {
        const where = this.#options.listen[index] as { address: string; port: number };
        await listen(server, { ...where, field: 'api.port' });
        this.#options.logger.info(where, 'API listens');
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map(closeServer));
  }

  #guarded(verifier: RequestVerifier): InternalHandler {
    const { health, routes, clock, logger } = this.#options;
    const signed = new TokenBucket(CALL_RATE, clock.monotonic());
    const withToken = new TokenBucket(TOKEN_RATE, clock.monotonic());
    const unsigned = new TokenBucket(CALL_RATE, clock.monotonic());
    return async (request) => {
      const header = request.headers[SIGNATURE_HEADER];
      const signature = typeof header === 'string' ? header : undefined;
      const refusal = verifier.verify(signature, request.method, request.target, request.body, clock.now());
      const ofKnown = request.path.startsWith(`${OPERATOR_API_PREFIX}/`) ? withToken : signed;
      if (!(refusal === null ? ofKnown : unsigned).take(clock.monotonic())) {
        throw new OramaError('RATE_LIMITED', 'too many calls to this controlplane', { retryable: true });
      }
      const open = await health(request);
      if (open) return open;
      if (refusal !== null) {
        logger.warn({ reason: refusal, path: request.path }, 'unsigned or wrongly signed request refused');
        throw new OramaError('UNAUTHORIZED', `the request's signature was refused: ${refusal}`, {
          hint: 'the caller needs the cluster key of this cluster and a clock that is right to a minute',
        });
      }
      return routes(request);
    };
  }
}
