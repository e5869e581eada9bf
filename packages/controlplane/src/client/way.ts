import { type Clock, deriveKey, describeError, OramaError, SIGNATURE_HEADER, signRequest } from '@orama/core';
import { CONTROLPLANE_API_PREFIX, CONTROLPLANE_KEY_INFO, OPERATOR_API_PREFIX } from '@orama/protocol';
import { CallTimeoutError, callHttp, type HttpAnswer } from '../http-call.ts';

/** No controlplane answered on any of the addresses; the CLI ends with "not reached". */
export class DaemonUnreachableError extends OramaError {
  constructor(endpoints: readonly string[], cause: unknown, hint: string) {
    super('UNAVAILABLE', `no controlplane answers at ${endpoints.join(', ')}`, { cause, retryable: true, hint });
  }
}

/** A call below the prefix of the API. */
export interface WayCall {
  method: string;
  path: string;
  body: string;
  timeoutMs: number;
  /** Of an operator for whom one controlplane asks another. */
  authorization?: string | undefined;
}

/** How calls reach controlplanes. */
export interface Way {
  /** Base URLs, tried in order. */
  readonly endpoints: readonly string[];
  /** Sends a call to one of them. Rejects with the cause, or CallTimeoutError, when there is no whole answer. */
  send(endpoint: string, call: WayCall): Promise<HttpAnswer>;
  /** The error of a call that reached nobody. */
  unreachable(cause: unknown): OramaError;
}

/** Straight to controlplanes, signed with the cluster key: between nodes, and on a node. */
export class SignedWay implements Way {
  readonly endpoints: readonly string[];
  readonly #key: Buffer;
  readonly #clock: Clock;
  readonly #startHint: string;

  /** @param startHint what to do where no controlplane answers */
  constructor(endpoints: readonly string[], clusterKey: string, clock: Clock, startHint: string) {
    this.endpoints = endpoints;
    this.#startHint = startHint;
    this.#key = deriveKey(clusterKey, CONTROLPLANE_KEY_INFO);
    this.#clock = clock;
  }

  send(endpoint: string, { method, path, body, timeoutMs, authorization }: WayCall): Promise<HttpAnswer> {
    const target = (authorization === undefined ? CONTROLPLANE_API_PREFIX : OPERATOR_API_PREFIX) + path;
    const { hostname, port } = new URL(endpoint);
    const where = { address: hostname.replaceAll(/[[\]]/g, ''), port: Number(port || 80) };
    const headers = {
      [SIGNATURE_HEADER]: signRequest(this.#key, method, target, body, this.#clock.now()),
      ...(authorization !== undefined && { authorization }),
    };
    return callHttp(where, method, target, { body, headers, timeoutMs });
  }

  unreachable(cause: unknown): OramaError {
    return new DaemonUnreachableError(this.endpoints, cause, this.#startHint);
  }
}

/** From outside: over HTTPS through a gateway, with an operator's token. */
export class OperatorWay implements Way {
  readonly endpoints: readonly string[];
  readonly #token: string;

  constructor(url: string, token: string) {
    this.endpoints = [url];
    this.#token = token;
  }

  async send(endpoint: string, { method, path, body, timeoutMs }: WayCall): Promise<HttpAnswer> {
    try {
      const response = await fetch(new URL(OPERATOR_API_PREFIX + path, endpoint), {
        method,
        // A token must not follow a redirect to somewhere else.
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          authorization: `Bearer ${this.#token}`,
          // Each call has a connection of its own: a Caddy that is given names closes those that were kept, maybe as one is used.
          connection: 'close',
          ...(body !== '' && { 'content-type': 'application/json' }),
        },
        ...(body !== '' && { body }),
      });
      const { status, headers } = response;
      const text = await response.text();
      // A proxy that has no gateway, a redirect, somebody else's page.
      const isOurs = text === '' ? status === 204 : headers.get('content-type')?.includes('json');
      if (!isOurs) throw new Error(`it answered ${status}, and not as a gateway of Orama does`);
      return { status, body: text, headers: Object.fromEntries(headers) };
    } catch (thrown) {
      if (thrown instanceof DOMException && thrown.name === 'TimeoutError') throw new CallTimeoutError(timeoutMs);
      // fetch wraps what the socket or TLS said.
      throw thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
    }
  }

  unreachable(cause: unknown): OramaError {
    const [url = ''] = this.endpoints;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const certificate = CERTIFICATE_FAULTS[code];
    return new OramaError('UNAVAILABLE', `no gateway answers at ${url}: ${describeError(cause)}`, {
      cause,
      retryable: certificate === undefined,
      hint: certificate ?? 'check the url of the environment, and that Caddy and orama-gateway run there',
    });
  }
}

const UNTRUSTED =
  'its certificate is not from an authority that this machine trusts: where it is your own, name its certificate as caFile in the entry of the environment';
/** What to do about the errors that OpenSSL and Node have for certificates. */
const CERTIFICATE_FAULTS: Record<string, string | undefined> = {
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  CERT_HAS_EXPIRED: 'its certificate has ended: look at the log of Caddy there, which renews it, and at the clock here',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: look at the clock of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name: use that one as url of the environment',
};
