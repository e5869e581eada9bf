import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type AddressSet,
  KeyedTokenBuckets,
  type OramaError,
  sourceKey,
  splitTarget,
  type Timer,
  UserError,
} from '@orama/core';
import {
  ENVELOPE_SUBPROTOCOL,
  type GatewayConfig,
  PEER_SILENCE_MS,
  SIGNALLING_DESCRIPTION_MAX_BYTES,
} from '@orama/protocol';
import { WebSocketServer } from 'ws';
import { SocketCounts } from '../limits/socket-counts.ts';
import { sourceAddress } from '../limits/source.ts';
import { type SessionDeps, SignallingSession } from './session.ts';

const SIGNALLING_PATH = '/v1/webrtc/signal';
const BEAT_MS = 10_000;
const RETRY_AFTER_SEC = 10;

/** Accepts signalling sockets: limits per source before the upgrade, one session for each after it. */
export class SignallingServer {
  readonly #deps: SessionDeps;
  readonly #trustedProxies: AddressSet;
  readonly #connects: KeyedTokenBuckets;
  readonly #counts: SocketCounts;
  readonly #sessions = new Set<SignallingSession>();
  readonly #beat: Timer;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: SIGNALLING_DESCRIPTION_MAX_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(ENVELOPE_SUBPROTOCOL) ? ENVELOPE_SUBPROTOCOL : false),
  });
  #draining = false;
  #onEmpty: (() => void) | null = null;

  constructor(deps: SessionDeps & { limits: GatewayConfig['limits']; trustedProxies: AddressSet }) {
    this.#deps = deps;
    this.#trustedProxies = deps.trustedProxies;
    this.#connects = new KeyedTokenBuckets(deps.limits.connectsPerSource);
    this.#counts = new SocketCounts(deps.limits.socketsPerSource);
    this.#beat = deps.clock.every(BEAT_MS, () => {
      for (const session of this.#sessions) session.beat(PEER_SILENCE_MS);
    });
  }

  /** Sessions that are open now. */
  get sessions(): Iterable<SignallingSession> {
    return this.#sessions;
  }

  /** Handler of the HTTP server's `upgrade` event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const source = sourceKey(
      sourceAddress(request.socket.remoteAddress, request.headers['x-forwarded-for'], this.#trustedProxies),
    );
    const { path, query } = splitTarget(request.url);
    const refusal = this.#refusal(path, source);
    if (refusal) {
      this.#deps.metrics.upgradesRefused.inc({ reason: refusal.code });
      refuseUpgrade(socket, refusal);
      return;
    }
    socket.once('close', () => this.#counts.close(source));
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const opening = { headers: request.headers, query };
      const session = new SignallingSession(webSocket, opening, this.#deps);
      this.#sessions.add(session);
      this.#deps.metrics.sessions.set(this.#sessions.size);
      const startedAtMs = this.#deps.clock.monotonic();
      void session.run().then(({ code }) => {
        this.#sessions.delete(session);
        this.#deps.metrics.sessions.set(this.#sessions.size);
        this.#deps.metrics.sessionEnds.inc({ code });
        this.#deps.logger.info(
          {
            ns: session.seat?.principal.namespace,
            room: session.seat?.placed.row.roomId,
            sfu: session.seat?.placed.sfu.nodeId,
            reason: code,
            durMs: Math.round(this.#deps.clock.monotonic() - startedAtMs),
          },
          'signalling session ended',
        );
        if (this.#sessions.size === 0) this.#onEmpty?.();
      });
    });
  }

  /** Sends every client elsewhere and takes no more; settles when all are gone, or after `timeoutMs` without the rest. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    this.#beat.cancel();
    for (const session of this.#sessions) session.goAway();
    if (this.#sessions.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      this.#deps.clock.after(timeoutMs, () => {
        for (const session of this.#sessions) session.terminate();
        resolve();
      });
    });
  }

  /** Why an upgrade is refused before it is made; counts the socket when it is not. */
  #refusal(path: string, source: string): OramaError | null {
    if (path !== SIGNALLING_PATH) return new UserError('NOT_FOUND', 'there is no such WebSocket here');
    if (this.#draining) return new UserError('DRAINING', 'the gateway is stopping', { retryable: true });
    if (!this.#connects.take(source, this.#deps.clock.monotonic()) || !this.#counts.open(source)) {
      return new UserError('RATE_LIMITED', 'too many connections from this address', { retryable: true });
    }
    return null;
  }
}

function refuseUpgrade(socket: Duplex, error: OramaError): void {
  const body = JSON.stringify(error.toBody());
  const headers = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...(error.code === 'RATE_LIMITED' ? [`retry-after: ${RETRY_AFTER_SEC}`] : []),
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
