import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '@orama/testkit';
import { makeCgroup } from './cgroups.ts';
import { wireguardIpOf } from './network.ts';
import { installInto, makeRoot, PROGRAMS, writeOwned } from './root.ts';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Enough for the filters of IPAddressDeny=, and for what configures the node's own network. */
const CAPABILITIES = 'CAP_NET_ADMIN,CAP_BPF,CAP_PERFMON';
const ENTER_SHELL =
  'for group in $GROUPS_TO_JOIN; do echo $$ >"$group/cgroup.procs" || exit; done; unset GROUPS_TO_JOIN; exec "$@"';

/** A machine with a systemd of its own, in a container of systemd-nspawn on a network namespace that is there. */
export class SystemdNode {
  readonly number: number;
  readonly publicIp: string;
  /** Its root, as this machine sees it. */
  readonly root: string;
  readonly #name: string;
  readonly #namespace: string;
  readonly #consoleFile: string;
  readonly #mounts: readonly string[];
  #machine: ChildProcess | undefined;

  /** @param name also that of its control group, so one of its own on this machine */
  constructor(options: {
    number: number;
    name: string;
    namespace: string;
    publicIp: string;
    folder: string;
    installed: boolean;
  }) {
    this.number = options.number;
    this.publicIp = options.publicIp;
    this.#name = options.name;
    this.#namespace = options.namespace;
    this.root = join(options.folder, `n${this.number}`);
    this.#consoleFile = join(options.folder, `n${this.number}.log`);
    makeRoot(this.root, `n${this.number}`);
    if (options.installed) {
      installInto(this.root);
      this.#mounts = ['--bind-ro=/usr', ...PROGRAMS.map(([from, to]) => `--bind-ro=${from}:${to}`)];
    } else {
      mkdirSync(this.changesOfUsr);
      this.#mounts = [`--overlay=/usr:${this.changesOfUsr}:/usr`];
    }
  }

  /** Where the changes of its /usr are, if it has its own. */
  get changesOfUsr(): string {
    return `${this.root}-usr`;
  }

  get wireguardIp(): string {
    return wireguardIpOf(this.number);
  }

  /** Boots it; resolves when its systemd has started all that it starts. */
  async powerOn(): Promise<void> {
    const console = openSync(this.#consoleFile, 'a');
    const machine = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', ENTER_SHELL, 'sh', ...this.#command()], {
      stdio: ['ignore', console, console],
      env: {
        PATH: process.env.PATH,
        GROUPS_TO_JOIN: makeCgroup(this.#name).join(' '),
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1',
      },
    });
    closeSync(console);
    this.#machine = machine;
    try {
      await waitUntil(
        `node ${this.number} to be up`,
        () => {
          if (machine.exitCode !== null) throw new Error(`systemd-nspawn ended with ${machine.exitCode}`);
          return this.run('systemctl', 'is-system-running', '--wait');
        },
        ({ code }) => code === 0,
        { intervalMs: 20 },
      );
    } catch (thrown) {
      throw new Error(`node ${this.number} did not come up:\n${readFileSync(this.#consoleFile, 'utf8')}`, {
        cause: thrown,
      });
    }
  }

  /** Everything on it ends at once; its disk stays as it is. */
  async losePower(): Promise<void> {
    const machine = this.#machine;
    this.#machine = undefined;
    if (!machine || machine.exitCode !== null || machine.signalCode !== null) return;
    const ended = once(machine, 'exit');
    for (const leader of childrenOf(machine.pid as number)) process.kill(leader, 'SIGKILL');
    machine.kill('SIGKILL');
    await ended;
  }

  /** Runs a program on the node, as root. */
  run(...command: string[]): Promise<CommandResult> {
    const [leader] = this.#machine?.pid === undefined ? [] : childrenOf(this.#machine.pid);
    if (leader === undefined) return Promise.resolve({ code: 1, stdout: '', stderr: 'the node is not on' });
    const args = ['-t', `${leader}`, '-m', '-u', '-i', '-n', '-p', '-C', '--', ...command];
    return runCommand('nsenter', args);
  }

  /** The same, of a program that must succeed; what it printed. */
  async do(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...command);
    if (code !== 0)
      throw new Error(`${command.join(' ')} on node ${this.number} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  /** Properties of a unit, as its systemd tells them. */
  async show(unit: string, ...properties: string[]): Promise<Record<string, string>> {
    const text = await this.do('systemctl', 'show', unit, `--property=${properties.join()}`);
    return Object.fromEntries(text.split('\n').flatMap((line) => [line.split(/=(.*)/, 2)].filter(([name]) => name)));
  }

  /** Files below a folder, as the process of a unit sees them, whoever may read them. */
  async filesSeenBy(unit: string, folder: string): Promise<string[]> {
    const { MainPID } = await this.show(unit, 'MainPID');
    const root = `/proc/${MainPID}/root`;
    const found = await this.do('find', `${root}${folder}`, '-not', '-type', 'd');
    return found
      .split('\n')
      .filter(Boolean)
      .map((path) => path.slice(root.length))
      .sort();
  }

  /** Writes a file of ours on the node. */
  write(path: string, content: string, mode = 0o600): void {
    writeOwned(this.root, path, content, mode);
  }

  #command(): string[] {
    return [
      ...['systemd-nspawn', '--quiet', '--boot', '--directory', this.root, '--machine', this.#name],
      ...['--register=no', '--keep-unit', '--link-journal=no', '--console=pipe'],
      ...[...this.#mounts, '--bind=/dev/net/tun'],
      ...[`--network-namespace-path=/run/netns/${this.#namespace}`, `--capability=${CAPABILITIES}`],
      ...['--system-call-filter=bpf perf_event_open', `--hostname=n${this.number}`],
    ];
  }
}

/** Runs a program of this machine to its end. */
export function runCommand(program: string, args: string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(program, args, { env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) || 1 : 0, stdout, stderr }),
    );
  });
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
