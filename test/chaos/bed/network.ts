import { execFileSync } from 'node:child_process';
import { kill } from '../../support/kill.ts';

const DEVICE = 'eth0';
const BRIDGE = 'nodes';
const MASK = 16;
const PARTITION = 'chaos';

/** The clients' end: who calls, who operates, and what watches. */
export const HUB_ADDRESSES = ['10.88.2.1', '10.88.2.2', '10.88.2.3', '10.88.2.4', '10.88.2.5', '10.88.2.6'] as const;
export const WIREGUARD_NETWORK = '10.88.0.0/24';
export const wireguardIpOf = (node: number) => `10.88.0.${node}`;
export const publicIpOf = (node: number) => `10.88.1.${node}`;

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Network namespaces: one for each node, and the hub with the clients, which has the bridge between them. */
export class Network {
  readonly #name: string;
  readonly #nodes: number;

  /** @param name which the namespaces begin with */
  constructor(name: string, nodes: number) {
    this.#name = name;
    this.#nodes = nodes;
  }

  get hub(): string {
    return `${this.#name}-hub`;
  }

  namespaceOf(node: number): string {
    return `${this.#name}-${node}`;
  }

  /** Makes the namespaces; needs root. */
  create(): void {
    ip('netns', 'add', this.hub);
    ip('-n', this.hub, 'link', 'set', 'lo', 'up');
    ip('-n', this.hub, 'link', 'add', BRIDGE, 'type', 'bridge');
    for (const address of HUB_ADDRESSES) ip('-n', this.hub, 'addr', 'add', `${address}/${MASK}`, 'dev', BRIDGE);
    ip('-n', this.hub, 'link', 'set', BRIDGE, 'up');
    for (let node = 1; node <= this.#nodes; node++) {
      const namespace = this.namespaceOf(node);
      const port = `node-${node}`;
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', port, 'netns', this.hub);
      for (const address of [wireguardIpOf(node), publicIpOf(node)])
        ip('-n', namespace, 'addr', 'add', `${address}/${MASK}`, 'dev', DEVICE);
      ip('-n', namespace, 'link', 'set', DEVICE, 'up');
      ip('-n', this.hub, 'link', 'set', port, 'master', BRIDGE, 'up');
    }
  }

  /** Cuts a node off from the others and so from the store; clients still reach it. */
  cutOff(node: number): void {
    const others = Array.from({ length: this.#nodes }, (_, i) => i + 1).filter((other) => other !== node);
    const addresses = others.flatMap((other) => [wireguardIpOf(other), publicIpOf(other)]).join(', ');
    this.#nft(
      node,
      `table ip ${PARTITION} {
        chain in { type filter hook input priority 0; ip saddr { ${addresses} } drop; }
        chain out { type filter hook output priority 0; ip daddr { ${addresses} } drop; }
      }`,
    );
  }

  /** Ends `cutOff`. */
  join(node: number): void {
    this.#nft(node, `table ip ${PARTITION}\ndelete table ip ${PARTITION}`);
  }

  /** Processes that live in a node's namespace. */
  pidsOf(node: number): number[] {
    const listed = execFileSync('ip', ['netns', 'pids', this.namespaceOf(node)], { encoding: 'utf8' });
    return listed.split('\n').filter(Boolean).map(Number);
  }

  /** Ends whatever lives in a node's namespace. */
  killAll(): void {
    for (let node = 1; node <= this.#nodes; node++) for (const pid of this.pidsOf(node)) kill(pid, 'SIGKILL');
  }

  /** Removes the namespaces, what of them there is. */
  remove(): void {
    const there = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    const nodes = Array.from({ length: this.#nodes }, (_, i) => this.namespaceOf(i + 1));
    for (const name of [...nodes, this.hub])
      if (there.split('\n').some((line) => line.split(' ')[0] === name)) ip('netns', 'delete', name);
  }

  #nft(node: number, rules: string): void {
    const args = ['netns', 'exec', this.namespaceOf(node), 'nft', '-f', '-'];
    execFileSync('ip', args, { input: rules, stdio: ['pipe', 'ignore', 'pipe'] });
  }
}
