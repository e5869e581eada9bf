import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { processInfo, waitUntil } from '@orama/testkit';
import { kill } from '../../support/kill.ts';

/** As `Restart=always` and `RestartSec=` of a unit. */
const RESTART_MS = 500;
const DISK = '256m';
const FILLER = 'filler';
const FILLING = Buffer.alloc(2 ** 20);
/** Programs of a node as faults name them, by a word of their command line. */
export const PROGRAMS = {
  rqlited: '/rqlited',
  controlplane: 'cmd/controlplane/',
  gateway: 'cmd/gateway/',
  turn: 'cmd/turn/',
  sfu: 'cmd/sfu/',
} as const;
export type ProgramName = keyof typeof PROGRAMS;

export interface NodeProcess {
  pid: number;
  program: ProgramName;
  /** The words of its command line. */
  args: string[];
}

export interface MachineOptions {
  number: number;
  namespace: string;
  /** Where its disk is mounted. */
  folder: string;
  /** What its init starts, and starts again. */
  services: { name: string; command: (folder: string) => string[] }[];
  pids: () => number[];
}

/** A node without systemd: a network namespace, a small disk, a clock of its own, and programs that are started again when they end. */
export class Machine {
  readonly number: number;
  readonly folder: string;
  readonly #options: MachineOptions;
  readonly #running = new Map<string, ChildProcess>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  #isOn = false;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.number = options.number;
    this.folder = options.folder;
    mkdirSync(this.folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=0700`, 'chaos', this.folder]);
    this.jumpClock(0);
  }

  get id(): string {
    return `node-${this.number}`;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** File that says by how much the clock of our programs here is off; see libfaketime. */
  get clockFile(): string {
    return clockFileOf(this.folder);
  }

  logFile(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  powerOn(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    for (const { name } of this.#options.services) this.#start(name);
  }

  /** Everything that runs here ends at once. */
  async powerOff(): Promise<void> {
    this.#isOn = false;
    for (const timer of this.#restarts) clearTimeout(timer);
    this.#restarts.clear();
    await waitUntil(
      `${this.id} to be off`,
      () => {
        const pids = this.#options.pids();
        for (const pid of pids) kill(pid, 'SIGKILL');
        return pids.length;
      },
      (left) => left === 0,
      { intervalMs: 20 },
    );
  }

  /** What of ours runs here; workers of a TURN server are left out. */
  processes(): NodeProcess[] {
    return this.#options.pids().flatMap((pid) => {
      const args = processInfo(pid)?.args ?? [];
      const known = Object.entries(PROGRAMS).find(([, word]) => args.some((arg) => arg.includes(word)));
      return known ? [{ pid, program: known[0] as ProgramName, args }] : [];
    });
  }

  pidsOf(program: ProgramName): number[] {
    return this.processes()
      .filter((process) => process.program === program)
      .map(({ pid }) => pid);
  }

  /** Leaves no byte of the disk free. */
  fillDisk(): void {
    const file = openSync(join(this.folder, FILLER), 'w');
    try {
      for (;;) writeSync(file, FILLING);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
    } finally {
      closeSync(file);
    }
  }

  freeDisk(): void {
    rmSync(join(this.folder, FILLER), { force: true });
  }

  /** Sets the clock of our programs off by so many seconds, forwards or backwards. */
  jumpClock(seconds: number): void {
    writeFileSync(this.clockFile, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}s\n`);
  }

  /** Takes the disk away. The machine must be off. */
  remove(): void {
    execFileSync('umount', ['--lazy', this.folder]);
  }

  #start(name: string): void {
    const service = this.#options.services.find((each) => each.name === name);
    if (!service || !this.#isOn) return;
    const log = openSync(this.logFile(name), 'a');
    const command = service.command(this.folder);
    const child = spawn('ip', ['netns', 'exec', this.#options.namespace, ...command], {
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#running.set(name, child);
    child.once('exit', () => {
      if (!this.#isOn) return;
      const timer = setTimeout(() => {
        this.#restarts.delete(timer);
        this.#start(name);
      }, RESTART_MS);
      this.#restarts.add(timer);
    });
  }
}

export function clockFileOf(folder: string): string {
  return join(folder, 'clock');
}
