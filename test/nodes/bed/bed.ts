import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '@orama/testkit';
import { kill } from '../../support/kill.ts';
import { cgroupsOf, pidsOf, removeCgroup } from './cgroups.ts';
import { Network } from './network.ts';
import { type CommandResult, runCommand, SystemdNode } from './node.ts';

/** Everything of a bed is named so, with the process that made it. */
const PREFIX = 'orama-nodes-';
const NODES = [1, 2, 3];

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
  static async start({ bare = false, installed = true } = {}): Promise<Bed> {
    if (process.getuid?.() !== 0) throw new Error('real nodes need root: sudo pnpm test:nodes');
    await removeAbandoned();
    const name = `${PREFIX}${process.pid}`;
    const folder = join(tmpdir(), name);
    mkdirSync(folder, { mode: 0o755 });
    const network = new Network(name, NODES);
    try {
      await network.create({ joined: !bare });
      const nodes = NODES.map(
        (number) =>
          new SystemdNode({
            ...{ number, name: `${name}-n${number}`, namespace: network.namespaceOf(number) },
            ...{ folder, installed },
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

  /** Runs a program as a client on the public network would. */
  fromClient(...command: string[]): Promise<CommandResult> {
    return runCommand('ip', ['netns', 'exec', this.network.client, ...command]);
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
    for (const pid of ip('netns', 'pids', namespace).split('\n').filter(Boolean)) kill(Number(pid), 'SIGKILL');
    ip('netns', 'delete', namespace);
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
