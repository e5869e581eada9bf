import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, globSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { daemonCommand } from '@orama/core';
import type { ControlplaneConfigInput } from '@orama/protocol';
import { CliProcess, type CliResult, REPOSITORY, rqlitedProgram, waitUntil } from '@orama/testkit';
import { clockFileOf, Machine } from './machine.ts';
import { type Network, publicIpOf, WIREGUARD_NETWORK, wireguardIpOf } from './network.ts';
import { StoreView } from './store-view.ts';

export const NODES = 3;
const BASE_DOMAIN = 'orama.localhost';
const API_PORT = 6001;
const GATEWAY_PORT = 6080;
const RQLITE_PORT = 4001;
const RAFT_PORT = 4002;
const LIBFAKETIME = '/usr/lib/*/faketime/libfaketimeMT.so.1';
const READY_TIMEOUT_MS = 60_000;

export interface Access {
  name: string;
  apiKey: string;
}

/** Three machines with everything of ours on them, a store of three real rqlited, and the clients' place. */
export class Bed {
  readonly machines: Machine[];
  readonly network: Network;
  readonly store: StoreView;
  /** The cluster key, which signs what nodes ask each other. */
  readonly clusterKey = randomBytes(32).toString('hex');
  readonly #folder: string;

  private constructor(network: Network, folder: string) {
    this.network = network;
    this.#folder = folder;
    writeFileSync(this.#file('cluster.key'), this.clusterKey, { mode: 0o600 });
    this.machines = Array.from({ length: NODES }, (_, i) => this.#machine(i + 1));
    this.store = new StoreView(this.machines.map((_, i) => rqliteOf(i + 1)));
  }

  /** Builds the machines and turns them on. Runs in the hub's namespace of a network that is there. */
  static async start(network: Network): Promise<Bed> {
    const bed = new Bed(network, mkdtempSync(join(tmpdir(), 'orama-chaos-')));
    for (const machine of bed.machines) machine.powerOn();
    await waitUntil(
      'the cluster to be up',
      () => Promise.all(bed.machines.map(({ number }) => ready(number))),
      (all) => all.every(Boolean),
      { timeoutMs: READY_TIMEOUT_MS, intervalMs: 200 },
    );
    // A node that is up is seen by the others a little later, and placed upon from then on.
    await waitUntil(
      'the nodes to see each other',
      () => bed.store.rows('SELECT id FROM nodes WHERE reachable = 1'),
      ({ length }) => length === NODES,
    );
    return bed;
  }

  machine(number: number): Machine {
    return this.machines[number - 1] as Machine;
  }

  gateway(number: number): string {
    return `http://${publicIpOf(number)}:${GATEWAY_PORT}`;
  }

  hostOf(namespace: string): string {
    return `ns-${namespace}.${BASE_DOMAIN}`;
  }

  /** What the zone file of a machine has: every A record, as `name address`. */
  records({ folder }: Machine): string[] {
    const file = zoneFileIn(folder);
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.flatMap((line) => {
      const [name, , , type, value] = line.split(' ');
      return type === 'A' ? [`${name?.replace(/\.$/, '')} ${value}`] : [];
    });
  }

  /** Runs a command of the CLI from outside of the nodes, as an operator does. */
  orama(...args: string[]): CliProcess {
    const endpoints = this.machines.flatMap(({ number }) => ['--api', apiOf(number)]);
    return new CliProcess([...endpoints, '--cluster-key-file', this.#file('cluster.key'), ...args]);
  }

  async json<T>(...args: string[]): Promise<T> {
    const result: CliResult = await this.orama(...args, '--json').finished;
    if (result.code !== 0) throw new Error(`orama ${args.join(' ')} ended with ${result.code}:\n${result.output}`);
    return JSON.parse(result.stdout) as T;
  }

  /** Puts logs and data where they outlive the run. @returns where */
  keep(): string {
    const folder = mkdtempSync(join(tmpdir(), 'orama-chaos-kept-'));
    cpSync(this.#folder, folder, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
    return folder;
  }

  async stop(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.powerOff()));
    for (const machine of this.machines) machine.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  #machine(number: number): Machine {
    const folder = this.#file(`node-${number}`);
    const machine = new Machine({
      number,
      folder,
      namespace: this.network.namespaceOf(number),
      pids: () => this.network.pidsOf(number),
      services: [
        { name: 'rqlited', command: () => rqlited(number, folder) },
        {
          name: 'controlplane',
          command: () => [...ours('controlplane', folder), '--config', join(folder, 'controlplane.json')],
        },
      ],
    });
    writeFileSync(join(folder, 'controlplane.json'), JSON.stringify(this.#config(number, folder)), { mode: 0o600 });
    return machine;
  }

  #config(number: number, folder: string): ControlplaneConfigInput {
    const others = Array.from({ length: NODES }, (_, i) => i + 1).filter((other) => other !== number);
    return {
      clusterId: 'chaos',
      node: `node-${number}`,
      wireguardIp: wireguardIpOf(number),
      publicIp: publicIpOf(number),
      wireguardNetwork: WIREGUARD_NETWORK,
      baseDomain: BASE_DOMAIN,
      dataDir: join(folder, 'data'),
      clusterKeyFile: this.#file('cluster.key'),
      store: { driver: 'rqlite', addresses: [rqliteOf(number), ...others.map(rqliteOf)] },
      api: { port: API_PORT },
      services: {
        manager: 'processes',
        programs: { gateway: ours('gateway', folder), turn: ours('turn', folder), sfu: ours('sfu', folder) },
      },
      gateway: { listen: { address: publicIpOf(number), port: GATEWAY_PORT } },
      turn: { advertise: 'addresses', workers: 1 },
      dns: { writer: 'file', file: zoneFileIn(folder) },
    };
  }
}

const zoneFileIn = (folder: string) => join(folder, 'dns', 'zone');
const apiOf = (number: number) => `http://${wireguardIpOf(number)}:${API_PORT}`;
const rqliteOf = (number: number) => `http://${wireguardIpOf(number)}:${RQLITE_PORT}`;

/** One of our programs, with the clock of its machine. */
function ours(daemon: 'controlplane' | 'gateway' | 'turn' | 'sfu', folder: string): [string, ...string[]] {
  const [library] = globSync(LIBFAKETIME);
  if (library === undefined) throw new Error(`there is no ${LIBFAKETIME}; Debian's package faketime has it`);
  const clock = [
    `LD_PRELOAD=${library}`,
    `FAKETIME_TIMESTAMP_FILE=${clockFileOf(folder)}`,
    'FAKETIME_CACHE_DURATION=1',
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
  ];
  return ['/usr/bin/env', ...clock, ...daemonCommand(daemon, join(REPOSITORY, `cmd/${daemon}/dist/main.js`))];
}

function rqlited(number: number, folder: string): string[] {
  const raft = Array.from({ length: NODES }, (_, i) => `${wireguardIpOf(i + 1)}:${RAFT_PORT}`);
  return [
    ...[rqlitedProgram(), '-fk', '-node-id', `node-${number}`],
    ...['-http-addr', new URL(rqliteOf(number)).host, '-raft-addr', raft[number - 1] as string],
    ...['-bootstrap-expect', String(NODES), '-join', raft.join(','), join(folder, 'rqlite')],
  ];
}

async function ready(number: number): Promise<boolean> {
  const response = await fetch(`${apiOf(number)}/readyz`, { signal: AbortSignal.timeout(1_000) });
  return response.ok;
}
