import { type IceServer, iceServerOf, type TurnCredentials } from '@orama/protocol';

/**
 * What an attempt at media may use of TURN. UDP goes first, alone: media over TCP waits for every lost packet, and with
 * all transports at once a browser whose TCP allocation is ready first starts there, and makes twice as many allocations.
 */
export type IcePath = 'udp' | 'any';

/** The path of the next attempt after one that did not get media through. */
export function otherPath(path: IcePath): IcePath {
  return path === 'udp' ? 'any' : 'udp';
}

/** The servers of a path. Where nothing is offered over UDP, everything is used. */
export function iceServersOf(credentials: TurnCredentials | undefined, path: IcePath): IceServer[] {
  if (!credentials) return [];
  const server = iceServerOf(credentials);
  const udp = server.urls.filter(isUdp);
  return [path === 'udp' && udp.length > 0 ? { ...server, urls: udp } : server];
}

/** Whether an attempt on this path leaves something to try afterwards. */
export function hasFallback(credentials: TurnCredentials | undefined, path: IcePath): boolean {
  const urls = credentials?.uris ?? [];
  return path === 'udp' && urls.some(isUdp) && !urls.every(isUdp);
}

/** RFC 7065: `turn:` without a transport is UDP. */
function isUdp(uri: string): boolean {
  return /^turn:[^?]*(\?transport=udp)?$/i.test(uri);
}
