import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a path does to the packets of one client, each way. */
export interface Path {
  delayMs?: number;
  lossPercent?: number;
}

const SERVER_SIDE = (client: number) => `10.144.${client}.1`;
const CLIENT_SIDE = (client: number) => `10.144.${client}.2`;

/**
 * Network namespaces: one for the servers, and for every client one of its own behind a path that can be made bad. The
 * servers keep their loopback addresses (`127.<prefix>.0.0/16`), which clients reach by route, as if they were public ones.
 */
export class Network {
  readonly #name: string;
  readonly #clients: number;
  readonly #prefix: number;
  readonly #wires: ChildProcess[] = [];
  readonly #limited = new Set<number>();

  private constructor(options: { name: string; clients: number; prefix: number }) {
    this.#name = options.name;
    this.#clients = options.clients;
    this.#prefix = options.prefix;
  }

  /** The servers' namespace of a bed. */
  static serverNamespace(name: string): string {
    return `${name}-server`;
  }

  /** Makes the namespaces; needs root. @param name of the bed: namespaces begin with it */
  static create(options: { name: string; clients: number; prefix: number }): Network {
    const network = new Network(options);
    network.remove();
    ip('netns', 'add', network.#server);
    network.#openLoopback(network.#server, '127.0.0.1/8');
    for (let client = 1; client <= options.clients; client++) network.#addClient(client);
    return network;
  }

  /** The bed that `create` made in another process. */
  static attach(options: { name: string; clients: number; prefix: number }): Network {
    return new Network(options);
  }

  clientNamespace(client: number): string {
    return `${this.#name}-client-${client}`;
  }

  /** The servers' address as a client sees them. */
  serverAddress(client: number): string {
    return SERVER_SIDE(client);
  }

  /** Starts the wires, all of them clean. @param program the compiled wire */
  startWires(program: string): void {
    for (let client = 1; client <= this.#clients; client++) {
      const args = ['netns', 'exec', this.#road(client), program, 'near', 'far'];
      const wire = spawn('ip', args, { stdio: ['pipe', 'inherit', 'inherit'] });
      wire.stdin.on('error', () => {});
      this.#wires.push(wire);
    }
  }

  /** Delays and loses packets between a client and the servers. */
  setPath(client: number, { delayMs = 0, lossPercent = 0 }: Path): void {
    this.#wires[client - 1]?.stdin?.write(`${delayMs} ${lossPercent}\n`);
  }

  /** Limits what a client is sent, in kbit/s, with 100 ms of queue; null lifts the limit. */
  setDownRate(client: number, kbit: number | null): void {
    const device = ['dev', `client-${client}`, 'root'];
    if (kbit === null) {
      if (this.#limited.delete(client)) tc(this.#server, 'qdisc', 'del', ...device);
      return;
    }
    this.#limited.add(client);
    tc(
      this.#server,
      'qdisc',
      'replace',
      ...device,
      'tbf',
      'rate',
      `${kbit}kbit`,
      'burst',
      '32kbit',
      'latency',
      '100ms',
    );
  }

  /** Makes every path clean again. */
  clean(): void {
    for (let client = 1; client <= this.#clients; client++) {
      this.setPath(client, {});
      this.setDownRate(client, null);
    }
  }

  async stopWires(): Promise<void> {
    await Promise.all(
      this.#wires.splice(0).map(async (wire) => {
        const ended = wire.exitCode === null ? once(wire, 'exit') : null;
        wire.stdin?.end();
        await ended;
      }),
    );
  }

  /** Removes the namespaces, what of them there is. */
  remove(): void {
    const there = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '');
    for (const namespace of there) if (namespace.startsWith(`${this.#name}-`)) ip('netns', 'delete', namespace);
  }

  get #server(): string {
    return Network.serverNamespace(this.#name);
  }

  #road(client: number): string {
    return `${this.#name}-road-${client}`;
  }

  #addClient(client: number): void {
    const namespace = this.clientNamespace(client);
    const road = this.#road(client);
    ip('netns', 'add', namespace);
    ip('netns', 'add', road);
    // Without the rest of 127.0.0.0/8: that is the servers'.
    this.#openLoopback(namespace, '127.0.0.1/32');
    ip('link', 'add', 'eth0', 'netns', namespace, 'type', 'veth', 'peer', 'name', 'near', 'netns', road);
    ip('link', 'add', 'far', 'netns', road, 'type', 'veth', 'peer', 'name', `client-${client}`, 'netns', this.#server);
    ip('-n', namespace, 'addr', 'add', `${CLIENT_SIDE(client)}/24`, 'dev', 'eth0');
    ip('-n', this.#server, 'addr', 'add', `${SERVER_SIDE(client)}/24`, 'dev', `client-${client}`);
    for (const [where, device] of [
      [namespace, 'eth0'],
      [road, 'near'],
      [road, 'far'],
      [this.#server, `client-${client}`],
    ] as const) {
      // The wire copies frames as they are: they must be complete.
      within(where, 'ethtool', '-K', device, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off');
      ip('-n', where, 'link', 'set', device, 'up');
    }
    ip('-n', namespace, 'route', 'add', 'default', 'via', SERVER_SIDE(client));
    ip('-n', namespace, 'route', 'add', `127.${this.#prefix}.0.0/16`, 'via', SERVER_SIDE(client));
  }

  #openLoopback(namespace: string, address: string): void {
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    if (address !== '127.0.0.1/8') {
      ip('-n', namespace, 'addr', 'del', '127.0.0.1/8', 'dev', 'lo');
      ip('-n', namespace, 'addr', 'add', address, 'dev', 'lo');
    }
    within(namespace, 'sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1', 'net.ipv6.conf.all.disable_ipv6=1');
  }
}

/** Compiles the wire; returns its path. */
export function compileWire(directory: string): string {
  const program = join(directory, 'wire');
  execFileSync('gcc', ['-O2', '-Wall', '-D_GNU_SOURCE', '-o', program, join(import.meta.dirname, 'wire.c')]);
  return program;
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function tc(namespace: string, ...args: string[]): void {
  execFileSync('tc', ['-n', namespace, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function within(namespace: string, program: string, ...args: string[]): void {
  execFileSync('ip', ['netns', 'exec', namespace, program, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}
