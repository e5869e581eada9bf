import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { CertificatePair } from '@orama/core';

/**
 * Suites with forward secrecy and authenticated encryption only; Node's default still has CBC and plain RSA. AES-128
 * first: what is relayed is encrypted end to end already.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * No renegotiation, which lets a client make the server work. No session tickets: a TURN connection is long, browsers
 * do not resume it, and a ticket would outlive the certificate and need a key shared by all workers.
 */
const OPTIONS = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET | constants.SSL_OP_PRIORITIZE_CHACHA;

/** TLS as our listener speaks it, with one certificate. Throws when OpenSSL refuses the pair. */
function createTlsContext({ cert, key }: CertificatePair): SecureContext {
  return createSecureContext({
    cert,
    key,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    minVersion: 'TLSv1.2',
    secureOptions: OPTIONS,
  });
}

/** What TLS listeners serve, as plain data that can be sent to a worker thread. */
export interface ServedCertificates {
  /** By lower-case host name, or `*.` and the rest of one. */
  readonly named: ReadonlyMap<string, CertificatePair>;
  /** For clients that name no host, or one that is not here. */
  readonly fallback: CertificatePair;
}

/** The TLS contexts of one thread's listeners. Connections keep the one they began with. */
export class SecureContexts {
  #named = new Map<string, { pair: CertificatePair; context: SecureContext }>();
  #fallback: SecureContext | undefined;

  /** Takes other certificates for connections from now on. */
  serve({ named, fallback }: ServedCertificates): void {
    const before = this.#named;
    this.#named = new Map();
    for (const [name, pair] of named) {
      const known = before.get(name);
      const same = known?.pair.cert === pair.cert && known.pair.key === pair.key;
      this.#named.set(name, same ? known : { pair, context: createTlsContext(pair) });
    }
    this.#fallback = createTlsContext(fallback);
  }

  /** The context for connections that name no host. */
  get fallback(): SecureContext {
    if (this.#fallback === undefined) throw new Error('no certificate has been handed over yet');
    return this.#fallback;
  }

  /** The context for a host name: its own, one of a wildcard, or that of everybody. */
  select(serverName: string): SecureContext {
    const name = serverName.toLowerCase();
    const own = this.#named.get(name) ?? this.#named.get(`*${name.slice(name.indexOf('.'))}`);
    return own?.context ?? this.fallback;
  }
}
