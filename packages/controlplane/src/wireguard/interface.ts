import type { WireguardPeer } from '@orama/protocol';
import { runTool } from '../run-tool.ts';
import { hostRoute, KEEPALIVE_SEC } from './conf-file.ts';

/** A peer of an interface that is up. */
export interface LivePeer {
  publicKey: string;
  /** Networks, with commas between them. */
  allowedIps: string;
  /** Null while it has none. */
  endpoint: string | null;
}

/** A WireGuard interface that is up. */
export interface LiveInterface {
  publicKey: string;
  listenPort: number;
  peers: LivePeer[];
}

/** Names of the WireGuard interfaces that are up, in the kernel or in wireguard-go. */
export async function wireguardInterfaces(): Promise<string[]> {
  return (await runTool('wg', ['show', 'interfaces'])).split(/\s+/).filter(Boolean);
}

/** Throws UNAVAILABLE when it is not up. */
export async function readInterface(name: string): Promise<LiveInterface> {
  const [own = '', ...lines] = (await runTool('wg', ['show', name, 'dump'])).split('\n');
  const [, publicKey = '', listenPort = '0'] = own.split('\t');
  const peers = lines.map((line): LivePeer => {
    const [key = '', , endpoint = '', allowedIps = ''] = line.split('\t');
    return { publicKey: key, allowedIps, endpoint: endpoint === '(none)' ? null : endpoint };
  });
  return { publicKey, listenPort: Number(listenPort), peers };
}

export async function setPeer(name: string, { publicKey, endpoint, wireguardIp }: WireguardPeer): Promise<void> {
  await runTool('wg', [
    ...['set', name, 'peer', publicKey, 'endpoint', endpoint, 'allowed-ips', hostRoute(wireguardIp)],
    ...['persistent-keepalive', String(KEEPALIVE_SEC)],
  ]);
}

export async function removePeer(name: string, publicKey: string): Promise<void> {
  await runTool('wg', ['set', name, 'peer', publicKey, 'remove']);
}
