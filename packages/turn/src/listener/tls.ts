import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SecureContexts } from '../certificates/secure-contexts.ts';

/**
 * What RFC 7443 registers. A client that names other protocols only is refused with no_application_protocol, one that
 * names none is served (RFC 7301 section 3.2).
 */
const ALPN_PROTOCOLS = ['stun.turn', 'stun.nat-discovery'];

/**
 * TLS over an accepted connection, with the certificate of the host that the client names (SNI). It emits `secure` when
 * the handshake is done. Whatever goes wrong ends in `error` and `close`; destroying it closes the connection.
 */
export function secureServerSocket(connection: Socket, contexts: SecureContexts): TLSSocket {
  return new TLSSocket(connection, {
    isServer: true,
    secureContext: contexts.fallback,
    ALPNProtocols: ALPN_PROTOCOLS,
    SNICallback: (serverName, done) => done(null, contexts.select(serverName)),
  });
}
