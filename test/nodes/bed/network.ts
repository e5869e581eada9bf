import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { waitUntil } from '@orama/testkit';

const BRIDGE = 'br0';
const DEVICE = 'eth0';
const WIREGUARD_PORT = 51_820;
/** Documentation addresses (RFC 5737), public ones for the nodes; the last one is the client's. */
export const publicIpOf = (node: number) => `203.0.113.${node}`;
const CLIENT_IP = publicIpOf(100);
export const WIREGUARD_NETWORK = '10.0.0.0/24';
export const wireguardIpOf = (node: number) => `10.0.0.${node}`;

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/**
 * Network namespaces of the nodes and of a client behind one bridge, which lies in a namespace of its own, and WireGuard
 * between the nodes. The client has no way to the addresses of WireGuard. This machine's network is left alone.
 */
export class Network {
  readonly #name: string;
  readonly #nodes: readonly number[];
  readonly #wireguards: ChildProcess[] = [];

  /** @param name which the namespaces begin with */
  constructor(name: string, nodes: readonly number[]) {
    this.#name = name;
    this.#nodes = nodes;
  }

  namespaceOf(node: number): string {
    return `${this.#name}-n${node}`;
  }

  get client(): string {
    return `${this.#name}-cl`;
  }

  /** @param joined whether WireGuard joins the nodes; else they have their public addresses and nothing more */
  async create({ joined }: { joined: boolean }): Promise<void> {
    const bridge = `${this.#name}-sw`;
    ip('netns', 'add', bridge);
    ip('-n', bridge, 'link', 'add', BRIDGE, 'type', 'bridge');
    ip('-n', bridge, 'link', 'set', BRIDGE, 'up');
    const ends = this.#nodes.map((node) => [this.namespaceOf(node), publicIpOf(node), `n${node}`] as const);
    for (const [namespace, address, port] of [...ends, [this.client, CLIENT_IP, 'cl'] as const]) {
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', port, 'netns', bridge);
      ip('-n', bridge, 'link', 'set', port, 'master', BRIDGE, 'up');
      ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', DEVICE);
      ip('-n', namespace, 'link', 'set', DEVICE, 'up');
    }
    if (joined) await this.#joinByWireguard();
  }

  /** Pulls the plug of a node's network, or puts it back. */
  setLink(node: number, to: 'up' | 'down'): void {
    ip('-n', `${this.#name}-sw`, 'link', 'set', `n${node}`, to);
  }

  /** Ends WireGuard; the namespaces go with the bed. */
  close(): void {
    for (const wireguard of this.#wireguards) wireguard.kill('SIGKILL');
  }

  async #joinByWireguard(): Promise<void> {
    const wg = (args: string[], input = '') => execFileSync('wg', args, { encoding: 'utf8', input }).trim();
    const keys = new Map(this.#nodes.map((node) => [node, wg(['genkey'])]));
    await Promise.all(
      this.#nodes.map(async (node) => {
        const pid = this.#startWireguard(node);
        const inside = (script: string, input = '') =>
          execFileSync('nsenter', ['-t', `${pid}`, '-m', '-n', 'sh', '-c', script], { input, stdio: 'pipe' });
        const own = ['[Interface]', `PrivateKey = ${keys.get(node)}`, `ListenPort = ${WIREGUARD_PORT}`];
        const peers = this.#nodes.flatMap((peer) =>
          peer === node ? [] : ['[Peer]', `PublicKey = ${wg(['pubkey'], keys.get(peer))}`, ...peerLines(peer)],
        );
        await waitUntil(
          `WireGuard of node ${node}`,
          () => inside('cat | wg setconf wg0 /dev/stdin', [...own, ...peers, ''].join('\n')),
          () => true,
          { intervalMs: 20 },
        );
        inside(`ip addr add ${wireguardIpOf(node)}/24 dev wg0 && ip link set wg0 mtu 1420 up`);
      }),
    );
  }

  /** In userspace, as the kernel may have none. Its control socket is a path: each needs a folder of its own. */
  #startWireguard(node: number): number {
    const script = 'mount -t tmpfs none /run && mkdir /run/wireguard && exec wireguard-go -f wg0';
    const args = ['--pdeathsig', 'KILL', 'ip', 'netns', 'exec', this.namespaceOf(node), 'sh', '-c', script];
    const child = spawn('setpriv', args, { stdio: 'ignore', env: { PATH: process.env.PATH } });
    this.#wireguards.push(child);
    return child.pid as number;
  }
}

function peerLines(peer: number): string[] {
  return [
    `Endpoint = ${publicIpOf(peer)}:${WIREGUARD_PORT}`,
    `AllowedIPs = ${wireguardIpOf(peer)}/32`,
    'PersistentKeepalive = 25',
  ];
}
