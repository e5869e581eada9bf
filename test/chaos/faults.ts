import { setTimeout as delay } from 'node:timers/promises';
import { kill } from '../support/kill.ts';
import type { Random } from '../support/random.ts';
import type { Bed } from './bed/bed.ts';
import { type Machine, PROGRAMS, type ProgramName } from './bed/machine.ts';

/** Something that happens to a node. */
export interface Fault {
  /** What it is, for tables: one name a kind. */
  kind: string;
  /** What exactly, for the log. */
  what: string;
  /** Nodes that it makes unfit while it lasts. */
  node: number;
  inject(): Promise<void> | void;
  /** How long it lasts. */
  lastsMs: number;
  /** Ends it. */
  heal(): Promise<void> | void;
}

const SECOND = 1_000;
const STOPPED_MS = 20 * SECOND;
const OFF_MS = 12 * SECOND;
const CUT_OFF_MS = 20 * SECOND;
const FULL_MS = 15 * SECOND;
const JUMPED_MS = 20 * SECOND;
const SLOW_MS = 15 * SECOND;
const JUMPS_SEC = [-600, -120, 120, 600, 86_400] as const;
/** A slow rqlited stands still for most of the time. */
const STANDS_MS = 400;
const RUNS_MS = 100;

type Maker = (bed: Bed, machine: Machine, random: Random) => Fault;

const nothing = () => {};

/** `kill -9` of one program of a node. */
const killed =
  (program: ProgramName): Maker =>
  (_bed, machine) => ({
    kind: `kill -9 ${program}`,
    what: `kill -9 of ${program} on ${machine.id}`,
    node: machine.number,
    lastsMs: 0,
    inject() {
      for (const pid of machine.pidsOf(program)) kill(pid, 'SIGKILL');
    },
    heal: nothing,
  });

/** SIGSTOP of one program of a node for 20 s. */
const stopped =
  (program: ProgramName): Maker =>
  (_bed, machine) => {
    let pids: number[] = [];
    return {
      kind: `SIGSTOP ${program}`,
      what: `SIGSTOP of ${program} on ${machine.id} for ${STOPPED_MS / SECOND} s`,
      node: machine.number,
      lastsMs: STOPPED_MS,
      inject() {
        pids = machine.pidsOf(program);
        for (const pid of pids) kill(pid, 'SIGSTOP');
      },
      heal() {
        for (const pid of pids) kill(pid, 'SIGCONT');
      },
    };
  };

const powerLoss: Maker = (_bed, machine) => ({
  kind: 'power loss of a node',
  what: `power loss of ${machine.id} for ${OFF_MS / SECOND} s`,
  node: machine.number,
  lastsMs: OFF_MS,
  inject: () => machine.powerOff(),
  heal: () => machine.powerOn(),
});

const partition: Maker = (bed, machine) => ({
  kind: 'partition of a node',
  what: `${machine.id} is cut off from the others and from the store for ${CUT_OFF_MS / SECOND} s`,
  node: machine.number,
  lastsMs: CUT_OFF_MS,
  inject: () => bed.network.cutOff(machine.number),
  heal: () => bed.network.join(machine.number),
});

const fullDisk: Maker = (_bed, machine) => ({
  kind: 'full disk',
  what: `the disk of ${machine.id} is full for ${FULL_MS / SECOND} s`,
  node: machine.number,
  lastsMs: FULL_MS,
  inject: () => machine.fillDisk(),
  heal: () => machine.freeDisk(),
});

const clockJump: Maker = (_bed, machine, random) => {
  const seconds = random.pick(JUMPS_SEC);
  return {
    kind: 'clock jump',
    what: `the clock of ${machine.id} is off by ${seconds} s for ${JUMPED_MS / SECOND} s`,
    node: machine.number,
    lastsMs: JUMPED_MS,
    inject: () => machine.jumpClock(seconds),
    heal: () => machine.jumpClock(0),
  };
};

const slowStore: Maker = (_bed, machine) => {
  let slowing: Promise<void> | undefined;
  let isSlow = true;
  return {
    kind: 'slow store',
    what: `the rqlited of ${machine.id} runs for ${RUNS_MS} of ${RUNS_MS + STANDS_MS} ms, for ${SLOW_MS / SECOND} s`,
    node: machine.number,
    lastsMs: SLOW_MS,
    inject() {
      slowing = (async () => {
        while (isSlow) {
          const pids = machine.pidsOf('rqlited');
          for (const pid of pids) kill(pid, 'SIGSTOP');
          await delay(STANDS_MS);
          for (const pid of pids) kill(pid, 'SIGCONT');
          await delay(RUNS_MS);
        }
      })();
    },
    async heal() {
      isSlow = false;
      await slowing;
    },
  };
};

const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];
const MAKERS: readonly Maker[] = [
  ...PROGRAM_NAMES.map(killed),
  ...PROGRAM_NAMES.map(stopped),
  powerLoss,
  powerLoss,
  partition,
  partition,
  fullDisk,
  clockJump,
  slowStore,
];

/** The next fault, as the seed decides. */
export function nextFault(bed: Bed, random: Random): Fault {
  const machine = random.pick(bed.machines);
  return random.pick(MAKERS)(bed, machine, random);
}
