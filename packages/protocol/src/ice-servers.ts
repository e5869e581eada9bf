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

/** Transports the TURN server listens on, in the order clients should try them. */
const TURN_TRANSPORTS: readonly TurnTransport[] = ['udp', 'tcp'];

/**
 * The TURN URIs of a namespace, in the order to try: its TURN name, or with `addresses` the public address of each of
 * its servers (where no DNS reaches the clients). Only listeners that exist are named.
 * @param options.servers one per TURN node of the namespace; none gives no URIs
 */
export function turnUrisOf(options: {
  advertise: 'names' | 'addresses';
  namespace: string;
  baseDomain: string;
  servers: readonly { publicIp: string; port: number }[];
}): string[] {
  const { advertise, servers } = options;
  const first = servers[0];
  if (!first) return [];
  const hosts =
    advertise === 'names'
      ? [{ host: turnDomain(options.namespace, options.baseDomain), port: first.port }]
      : servers.map((server) => ({ host: server.publicIp, port: server.port }));
  return TURN_TRANSPORTS.flatMap((transport) => hosts.map(({ host, port }) => turnUri(host, port, transport)));
}
