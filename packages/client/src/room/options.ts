import { type Clock, systemClock } from '../clock.ts';
import { ClientError } from '../errors.ts';
import type { PublishOptions } from '../media/local-track.ts';
import type { ReconnectPolicy } from './reconnect-policy.ts';

/** What proves who the caller is: an API key or a token of the gateway. */
export type Credential = { apiKey: string } | { token: string };

/** Things of the platform, replaceable where the platform has none or a test brings its own. */
export interface Platform {
  WebSocket: typeof WebSocket;
  RTCPeerConnection: typeof RTCPeerConnection;
  clock: Clock;
  /** A number in [0, 1). */
  random: () => number;
}

/** What is left out is the platform's own. */
export function platformOf(given: Partial<Platform> | undefined): Platform {
  return {
    WebSocket: given?.WebSocket ?? globalThis.WebSocket,
    RTCPeerConnection: given?.RTCPeerConnection ?? globalThis.RTCPeerConnection,
    clock: given?.clock ?? systemClock,
    random: given?.random ?? Math.random,
  };
}

export interface ConnectOptions {
  /** Origin of the namespace's gateway: `https://ns-demo.example.com`; `http:`, `ws:` and `wss:` work as well. */
  url: string | URL;
  apiKey?: string;
  token?: string;
  /** Asked before every connection instead of `apiKey` or `token`; for credentials that do not live long. */
  getCredentials?: () => Credential | Promise<Credential>;
  /** 1-128 printable ASCII characters without spaces. */
  room: string;
  /** Shown to the others. */
  name?: string;
  /** Shown to the others; at most 4 KB as JSON. */
  metadata?: Record<string, unknown>;
  /** Tracks to publish with the very first offer: the fastest way into a call. */
  publish?: { track: MediaStreamTrack; options?: PublishOptions }[];
  /** False for an application without data channels, its own or others': saves memory here and on the server. */
  channels?: boolean;
  reconnect?: Partial<ReconnectPolicy>;
  platform?: Partial<Platform>;
}

/** The credential of `options`, asked for anew where it is a function. */
export async function credentialOf(options: ConnectOptions): Promise<Credential> {
  if (options.getCredentials) return await options.getCredentials();
  if (options.token !== undefined) return { token: options.token };
  if (options.apiKey !== undefined) return { apiKey: options.apiKey };
  throw new ClientError('invalid_argument', 'connect() needs apiKey, token or getCredentials');
}

/** The signalling URL of a gateway. The credential rides in the query, since a browser can set no header here. */
export function signallingUrl(gateway: string | URL, room: string, credential: Credential): string {
  const url = new URL('/v1/webrtc/signal', gateway);
  url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
  url.searchParams.set('room', room);
  if ('token' in credential) url.searchParams.set('token', credential.token);
  else url.searchParams.set('api_key', credential.apiKey);
  return url.href;
}
