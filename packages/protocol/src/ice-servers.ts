import { z } from 'zod';
import { turnDomain } from './names.ts';

/** TURN credentials as clients get them, by REST or pushed over signalling. */
export const turnCredentialsSchema = z.object({
  /** `turn:`/`turns:` URIs (RFC 7065), in the order to try. */
  uris: z.array(z.string()).min(1),
  /** `<expiry unix seconds>:<namespace>`. */
  username: z.string(),
  /** base64(HMAC-SHA1(secret, username)). */
  password: z.string(),
  /** Seconds the credential lives from now. */
  ttl: z.int().positive(),
});
export type TurnCredentials = z.infer<typeof turnCredentialsSchema>;

/** The shape that `RTCConfiguration.iceServers` wants. */
export interface IceServer {
  urls: string[];
  username: string;
  credential: string;
}

/** Turns credentials into an `RTCIceServer`. */
export function iceServerOf(credentials: TurnCredentials): IceServer {
  return { urls: credentials.uris, username: credentials.username, credential: credentials.password };
}

/** Transports of a TURN listener that a URI can name. */
export type TurnTransport = 'udp' | 'tcp' | 'tls';

/**
 * A TURN URI (RFC 7065) of one listener.
 * @param host a name, an IPv4 address or an IPv6 address without brackets
 */
export function turnUri(host: string, port: number, transport: TurnTransport): string {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return transport === 'tls' ? `turns:${authority}` : `turn:${authority}?transport=${transport}`;
}

/** The end of the URI for clients that are let out to the port of HTTPS alone. */
const PORT_443 = ':443?transport=tcp';

/** Where one TURN server of a namespace listens. */
export interface TurnServerAddress {
  publicIp: string;
  /** UDP and TCP. */
  port: number;
  tlsPort: number;
}

/**
 * The TURN URIs of a namespace. They carry its TURN name, or with `addresses` the public address of each of its servers
 * (where no DNS reaches the clients). Only what a browser can use is named: no authority vouches for such addresses, so
 * there is no `turns:` with them.
 * @param options.port443 whether they are reached over TLS on port 443 as well
 * @param options.servers one per TURN node of the namespace; none gives no URIs
 */
export function turnUrisOf(options: {
  advertise: 'names' | 'addresses';
  namespace: string;
  baseDomain: string;
  port443: boolean;
  servers: readonly TurnServerAddress[];
}): string[] {
  const { advertise, port443, servers } = options;
  if (advertise === 'addresses') {
    return (['udp', 'tcp'] as const).flatMap((transport) =>
      servers.map(({ publicIp, port }) => turnUri(publicIp, port, transport)),
    );
  }
  const first = servers[0];
  if (!first) return [];
  const host = turnDomain(options.namespace, options.baseDomain);
  const uris = [
    turnUri(host, first.port, 'udp'),
    turnUri(host, first.port, 'tcp'),
    turnUri(host, first.tlsPort, 'tls'),
  ];
  return port443 ? [...uris, `turns:${host}${PORT_443}`] : uris;
}

/**
 * TURN URIs in the order to try: UDP, TCP, TLS, TLS on the port of HTTPS. Servers of one transport come in another order each time, because clients
 * try the first ones first.
 * @param random 0 up to 1, as `Math.random`
 */
export function inOrderToTry(uris: readonly string[], random: () => number = Math.random): string[] {
  return uris
    .map((uri) => ({ uri, rank: rankOf(uri) + random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ uri }) => uri);
}

function rankOf(uri: string): number {
  if (uri.startsWith('turns:')) return uri.endsWith(PORT_443) ? 3 : 2;
  return uri.endsWith('?transport=tcp') ? 1 : 0;
}
