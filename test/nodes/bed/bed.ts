import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '@orama/testkit';
import { kill } from '../../support/kill.ts';
import { cgroupsOf, pidsOf, removeCgroup } from './cgroups.ts';
import { Network, type NetworkOptions } from './network.ts';
import { type CommandResult, runCommand, SystemdNode } from './node.ts';

/** Everything of a bed is named so, with the process that made it. */
const PREFIX = 'orama-nodes-';
const NODES = [1, 2, 3];
/** Authorities that programs trust. */
const TRUSTED = '/etc/ssl/certs/ca-certificates.crt';

interface BedOptions extends NetworkOptions {
  bare?: boolean;
  installed?: boolean;
}

/** Three machines with a systemd each, joined by WireGuard, and a client beside them. Needs root. */
export class Bed {
  readonly nodes: readonly SystemdNode[];
  readonly network: Network;
  readonly #name: string;

  private constructor(name: string, network: Network, nodes: readonly SystemdNode[]) {
    this.#name = name;
    this.network = network;
    this.nodes = nodes;
  }

  /**
   * Builds and boots it, after it took away what crashed runs left.
   * @param bare without WireGuard: machines as they are before they become nodes
   * @param installed false for machines that have nothing of ours, and a /usr that can be written to
   */
  static async start({ bare = false, installed = true, ...addresses }: BedOptions = {}): Promise<Bed> {
    if (process.getuid?.() !== 0) throw new Error('real nodes need root: sudo pnpm test:nodes');
    await removeAbandoned();
    const name = `${PREFIX}${process.pid}`;
    const folder = join(tmpdir(), name);
    mkdirSync(folder, { mode: 0o755 });
    const network = new Network(name, NODES, addresses);
    copyFileSync(TRUSTED, join(folder, 'ca.pem'));
    writeFileSync(
      join(folder, 'resolv.conf'),
      [...NODES.map((node) => `nameserver ${network.publicIpOf(node)}`), 'options timeout:1', ''].join('\n'),
    );
    try {
      await network.create({ joined: !bare });
      const nodes = NODES.map(
        (number) =>
          new SystemdNode({
            ...{ number, name: `${name}-n${number}`, namespace: network.namespaceOf(number) },
            ...{ folder, installed, publicIp: network.publicIpOf(number) },
          }),
      );
      const bed = new Bed(name, network, nodes);
      await Promise.all(nodes.map((node) => node.powerOn()));
      return bed;
    } catch (thrown) {
      network.close();
      await remove(name);
      throw thrown;
    }
  }

  node(number: number): SystemdNode {
    return this.nodes[number - 1] as SystemdNode;
  }

  /** Command that runs another as a client on the public network would, which asks the nodes for names. */
  get asClient(): string[] {
    const enter = `mount --bind ${this.#file('resolv.conf')} /etc/resolv.conf && mount --bind ${this.#file('ca.pem')} ${TRUSTED} && exec "$0" "$@"`;
    return ['ip', 'netns', 'exec', this.network.client, 'unshare', '--mount', 'sh', '-c', enter];
  }

  /** Runs a program so. */
  fromClient(...command: string[]): Promise<CommandResult> {
    const [program = '', ...args] = [...this.asClient, ...command];
    return runCommand(program, args);
  }

  /** Has the client trust one more authority (PEM). */
  clientTrusts(certificate: string): void {
    appendFileSync(this.#file('ca.pem'), certificate);
  }

  #file(name: string): string {
    return join(tmpdir(), this.#name, name);
  }

  /** A node is off, and nobody answers at its address. */
  async losePower(number: number): Promise<void> {
    this.network.setLink(number, 'down');
    await this.node(number).losePower();
  }

  async powerOn(number: number): Promise<void> {
    this.network.setLink(number, 'up');
    await this.node(number).powerOn();
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.losePower()));
    this.network.close();
    await remove(this.#name);
  }
}

/** Takes away what is left of beds whose process is gone. Their own processes ended with it. */
async function removeAbandoned(): Promise<void> {
  const names = [...readdirSync(tmpdir()), ...cgroupsOf(PREFIX), ...namespaces()].flatMap(
    (name) => /^orama-nodes-\d+/.exec(name) ?? [],
  );
  for (const name of new Set(names)) if (!existsSync(`/proc/${name.slice(PREFIX.length)}`)) await remove(name);
}

async function remove(name: string): Promise<void> {
  for (const group of cgroupsOf(`${name}-`)) {
    await waitUntil(
      `${group} to be empty`,
      () => {
        const pids = pidsOf(group);
        for (const pid of pids) kill(pid, 'SIGKILL');
        return pids.length;
      },
      (left) => left === 0,
      { intervalMs: 20 },
    );
    removeCgroup(group);
  }
  for (const namespace of namespaces()) {
    if (!namespace.startsWith(`${name}-`)) continue;
    try {
      for (const pid of ip('netns', 'pids', namespace).split('\n').filter(Boolean)) kill(Number(pid), 'SIGKILL');
      ip('netns', 'delete', namespace);
    } catch (thrown) {
      // Another bed that begins takes the same away.
      if (namespaces().includes(namespace)) throw thrown;
    }
  }
  rmSync(join(tmpdir(), name), { recursive: true, force: true });
}

function namespaces(): string[] {
  return ip('netns', 'list')
    .split('\n')
    .flatMap((line) => line.split(' ')[0] || []);
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}
