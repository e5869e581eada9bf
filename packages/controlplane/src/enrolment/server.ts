import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import {
  createInternalServer,
  drainServer,
  type InternalReply,
  type InternalRequest,
  type Logger,
  listen,
  OramaError,
} from '@orama/core';
import { ENROLMENT_PATH } from '@orama/protocol';
import { invitationSecret, PSK_TLS } from './join-token.ts';

/** More than machines join at once; strangers get no further than the handshake. */
const MAX_CONNECTIONS = 16;
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** So long an answer may take that is under way when the last invitation is over. */
const ANSWER_MS = 2_000;
/** Strangers who keep coming do not fill the log. */
const LOG_AGAIN_MS = 10_000;

export interface EnrolmentServerOptions {
  clusterKey: string;
  listen: { address: string; port: number };
  /** Takes a machine in. */
  answer: (invitation: string, body: string, from: string) => Promise<InternalReply>;
  logger: Logger;
}

/**
 * Answers machines that join, on an address that strangers reach: it listens while an invitation is open and no longer, and
 * who has none does not get beyond the TLS handshake.
 */
export class EnrolmentServer {
  readonly #options: EnrolmentServerOptions;
  /** By which invitation a connection came. */
  readonly #invitationOf = new WeakMap<object, string>();
  #open: ReadonlySet<string> = new Set();
  #server: Server | null = null;
  #refusalLoggedMs = Number.NEGATIVE_INFINITY;

  constructor(options: EnrolmentServerOptions) {
    this.#options = options;
  }

  get listens(): boolean {
    return this.#server !== null;
  }

  /** Serves these invitations and no others; none: it stops listening. Throws when it cannot listen. */
  async serve(invitations: ReadonlySet<string>): Promise<void> {
    this.#open = invitations;
    if (invitations.size === 0) return this.close();
    if (this.#server) return;
    const server = this.#create();
    await listen(server, { ...this.#options.listen, field: 'invitations.listen' });
    this.#server = server;
    this.#options.logger.info(this.#options.listen, 'waiting for machines that join');
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    // Whoever was taken in by the last invitation is just being told so.
    await drainServer(server, ANSWER_MS);
    this.#options.logger.info('waiting for machines no longer');
  }

  #create(): Server {
    const { clusterKey, logger } = this.#options;
    const server = createInternalServer((request, connection) => this.#answer(request, connection), logger, {
      ...PSK_TLS,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      pskCallback: (socket, id) => {
        if (!this.#open.has(id)) return null;
        this.#invitationOf.set(socket, id);
        return invitationSecret(clusterKey, id);
      },
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('tlsClientError', (thrown: Error, socket: { remoteAddress?: string }) => {
      if (performance.now() - this.#refusalLoggedMs < LOG_AGAIN_MS) return;
      this.#refusalLoggedMs = performance.now();
      logger.warn({ reason: thrown.message.trim(), from: socket.remoteAddress }, 'a stranger was refused');
    });
    return server;
  }

  async #answer({ method, path, body }: InternalRequest, connection: Socket): Promise<InternalReply | undefined> {
    if (method !== 'POST' || path !== ENROLMENT_PATH) return undefined;
    const invitation = this.#invitationOf.get(connection);
    const from = connection.remoteAddress;
    if (invitation === undefined || from === undefined)
      throw new OramaError('UNAUTHORIZED', 'it came without invitation');
    return this.#options.answer(invitation, body, from);
  }
}
