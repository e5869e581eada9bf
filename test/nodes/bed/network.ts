import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { waitUntil } from '@orama/testkit';

const BRIDGE = 'br0';
const DEVICE = 'eth0';
const WIREGUARD_PORT = 51_820;
/** Documentation addresses (RFC 5737), public ones for the nodes; the last one is the client's. */
export const publicIpOf = (node: number, network = '203.0.113') => `${network}.${node}`;
const CLIENT = 100;
/** Addresses of the internet as any other, which no machine has: that of AS112 (RFC 7534). */
const INTERNET = '192.31.196';
export const WIREGUARD_NETWORK = '10.0.0.0/24';
export const wireguardIpOf = (node: number) => `10.0.0.${node}`;
/** Of a node behind 1:1 NAT, which has no other. */
export const privateIpOf = (node: number) => `192.168.${node}.2`;

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

export interface NetworkOptions {
  behindNat?: readonly number[];
  isInternet?: boolean;
}

/**
 * Network namespaces of the nodes and of a client behind one bridge, which lies in a namespace of its own, and WireGuard
 * between the nodes. The client has no way to the addresses of WireGuard. This machine's network is left alone.
 */
export class Network {
  readonly #name: string;
  readonly #nodes: readonly number[];
  readonly #behindNat: readonly number[];
  readonly #public: string | undefined;
  readonly #wireguards: ChildProcess[] = [];

  /**
   * @param name which the namespaces begin with
   * @param behindNat nodes whose public address is that of a router with 1:1 NAT
   * @param isInternet whether public addresses are ones that TURN lets peers have, instead of those of documentation
   */
  constructor(name: string, nodes: readonly number[], { behindNat = [], isInternet = false }: NetworkOptions) {
    this.#name = name;
    this.#nodes = nodes;
    this.#behindNat = behindNat;
    this.#public = isInternet ? INTERNET : undefined;
  }

  publicIpOf(node: number): string {
    return publicIpOf(node, this.#public);
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
    const ends = this.#nodes.map((node) => [this.#outerOf(node), this.publicIpOf(node), `n${node}`] as const);
    for (const [namespace, address, port] of [...ends, [this.client, this.publicIpOf(CLIENT), 'cl'] as const]) {
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', port, 'netns', bridge);
      ip('-n', bridge, 'link', 'set', port, 'master', BRIDGE, 'up');
      ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', DEVICE);
      ip('-n', namespace, 'link', 'set', DEVICE, 'up');
    }
    for (const node of this.#behindNat) this.#putBehindNat(node);
    if (joined) await this.#joinByWireguard();
  }

  /** Where a node's public address is. */
  #outerOf(node: number): string {
    return this.#behindNat.includes(node) ? `${this.#name}-r${node}` : this.namespaceOf(node);
  }

  /** The router has the public address and hands all that comes to it on, to a node that has a private one. */
  #putBehindNat(node: number): void {
    const [inner, outer, lan] = [this.namespaceOf(node), this.#outerOf(node), 'lan'];
    const [own, gateway] = [privateIpOf(node), privateIpOf(node).replace(/2$/, '1')];
    ip('netns', 'add', inner);
    ip('-n', inner, 'link', 'set', 'lo', 'up');
    ip('-n', inner, 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', lan, 'netns', outer);
    ip('-n', inner, 'addr', 'add', `${own}/24`, 'dev', DEVICE);
    ip('-n', outer, 'addr', 'add', `${gateway}/24`, 'dev', lan);
    ip('-n', outer, 'link', 'set', lan, 'up');
    ip('-n', inner, 'link', 'set', DEVICE, 'up');
    ip('-n', inner, 'route', 'add', 'default', 'via', gateway);
    const inOuter = ['netns', 'exec', outer];
    ip(...inOuter, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    const rules = [
      'add table ip nat',
      'add chain ip nat in { type nat hook prerouting priority dstnat; }',
      'add chain ip nat out { type nat hook postrouting priority srcnat; }',
      `add rule ip nat in ip daddr ${this.publicIpOf(node)} dnat to ${own}`,
      `add rule ip nat out ip saddr ${own} snat to ${this.publicIpOf(node)}`,
    ];
    ip(...inOuter, 'nft', rules.join('; '));
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
          peer === node ? [] : ['[Peer]', `PublicKey = ${wg(['pubkey'], keys.get(peer))}`, ...this.#peerLines(peer)],
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

  #peerLines(peer: number): string[] {
    return [
      `Endpoint = ${this.publicIpOf(peer)}:${WIREGUARD_PORT}`,
      `AllowedIPs = ${wireguardIpOf(peer)}/32`,
      'PersistentKeepalive = 25',
    ];
  }
}
