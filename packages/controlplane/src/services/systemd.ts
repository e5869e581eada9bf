import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, type Logger, writeFileAtomic } from '@orama/core';
import { runTool } from '../run-tool.ts';
import {
  GATEWAY_UNIT,
  type ServiceExit,
  type ServiceManager,
  type ServiceSpec,
  type ServiceState,
  SFU_UNIT_PREFIX,
  TENANT_UNIT_PREFIX,
  TURN_UNIT,
} from './service-manager.ts';
import { sharedLook } from './shared-look.ts';

/** So long after a unit wrote down its end, systemd has it ended, or about to be started again. */
const SETTLED_MS = 200;
const SYSTEMCTL_TIMEOUT_MS = 10_000;
const DROP_INS = '/run/systemd/system';
/** Of the controlplane alone: environments of units, and how they ended. */
const RUN = '/run/orama';
const END_SUFFIX = '.end';
const DROP_IN = '50-node.conf';
const OURS = [GATEWAY_UNIT, TURN_UNIT, `${TENANT_UNIT_PREFIX}*`, `${SFU_UNIT_PREFIX}*`].map(
  (unit) => `${unit}.service`,
);
const PROPERTIES = [
  ...['Id', 'ActiveState', 'SubState', 'InvocationID'],
  ...['ExecMainStartTimestampMonotonic', 'ExecMainExitTimestampMonotonic'],
];

/** What results of a unit mean, beyond what its exit code says. */
const WHY_ENDED: Readonly<Record<string, string>> = {
  watchdog: 'it did not answer',
  timeout: 'it did not start or end in time',
  'oom-kill': 'memory ran out',
};

interface Options {
  /** The only network an SFU may speak to. */
  wireguardNetwork: string;
  /** How long a TURN server may take to end. */
  turnStopMs: number;
  logger: Logger;
  clock: Clock;
}

/** A unit as systemd shows it, with the times of its main process in microseconds since boot. */
interface Shown {
  unit: string;
  active: string;
  sub: string;
  invocation: string;
  startedAtUs: number;
  exitedAtUs: number;
}

/**
 * Units of systemd, driven by systemctl. What there is is asked of systemd each time; ends are seen by comparing with the
 * time before, which is soon, because each unit that ends writes a file. Commands stand in the unit files; the digest of
 * what a unit was started with is in the environment file that systemd gives it, at each restart as well.
 */
export class SystemdServices implements ServiceManager {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #listeners = new Set<(exit: ServiceExit) => void>();
  /** What ran at the last look, to see what has ended since. */
  #before = new Map<string, Shown>();
  /** Runs of units that were told to end. */
  readonly #told = new Set<string>();
  readonly #ends: FSWatcher | null;
  readonly #show = sharedLook(() => this.#look());

  private constructor({ logger, clock }: Options) {
    this.#logger = logger;
    this.#clock = clock;
    this.#ends = this.#watchEnds();
  }

  /** Gives our units what only this node knows. Throws where systemd does not answer. */
  static async open(options: Options): Promise<SystemdServices> {
    await writeDropIn(`${SFU_UNIT_PREFIX}.service`, `IPAddressAllow=${options.wireguardNetwork}`);
    await writeDropIn(`${TURN_UNIT}.service`, `TimeoutStopSec=${Math.ceil(options.turnStopMs / 1000)}`);
    await systemctl('daemon-reload');
    await mkdir(RUN, { recursive: true, mode: 0o700 });
    return new SystemdServices(options);
  }

  /** Stops watching. The units keep running. */
  close(): void {
    this.#ends?.close();
    this.#listeners.clear();
  }

  async list(): Promise<ServiceState[]> {
    const states = (await this.#show()).filter(isPresent).map(async (shown): Promise<ServiceState> => {
      const { unit, startedAtUs } = shown;
      return {
        unit,
        phase: phaseOf(shown),
        configDigest: await readDigest(unit),
        startedAtMs: this.#clock.now() - (monotonicUs() - startedAtUs) / 1000,
      };
    });
    return Promise.all(states);
  }

  async start({ unit, configDigest }: ServiceSpec): Promise<void> {
    const present = (await this.#show()).some((shown) => shown.unit === unit && isPresent(shown));
    if (present) return;
    await writeFileAtomic(environmentFile(unit), `ORAMA_DIGEST=${configDigest}\n`);
    await systemctl('start', '--no-block', `${unit}.service`);
    this.#logger.info({ unit }, 'service started');
  }

  async stop(unit: string, deadlineMs: number): Promise<void> {
    const running = (await this.#show()).find((shown) => shown.unit === unit && isPresent(shown));
    if (!running || running.active === 'deactivating') return;
    this.#told.add(running.invocation);
    await systemctl('stop', '--no-block', `${unit}.service`);
    this.#logger.info({ unit }, 'service told to stop');
    this.#clock.after(deadlineMs, () => void this.#kill(running));
  }

  async forget(unit: string): Promise<void> {
    await Promise.all([environmentFile(unit), endFile(unit)].map((file) => rm(file, { force: true })));
    // It says so where there is nothing to forget.
    await systemctl('reset-failed', `${unit}.service`).catch(() => {});
  }

  async restartsOf(unit: string): Promise<number> {
    return Number(await systemctl('show', '--property=NRestarts', '--value', `${unit}.service`));
  }

  onExit(listener: (exit: ServiceExit) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Of a run that was told to end and did not. After its own time limit systemd does so, whoever runs then. */
  async #kill({ unit, invocation }: Shown): Promise<void> {
    try {
      const still = (await this.#show()).some((shown) => shown.invocation === invocation && isPresent(shown));
      if (still) await systemctl('kill', '--signal=SIGKILL', `${unit}.service`);
    } catch (thrown) {
      this.#logger.warn({ unit, err: thrown }, 'a service that does not end cannot be killed');
    }
  }

  /** Null where the machine has no watch left: ends are then seen when the units are listed next. */
  #watchEnds(): FSWatcher | null {
    const warn = (thrown: unknown) => {
      this.#logger.warn({ err: thrown }, `ends of services are not seen at once: ${RUN} cannot be watched`);
    };
    try {
      const watcher = watch(RUN, (_event, file) => {
        if (file?.endsWith(END_SUFFIX)) this.#clock.after(SETTLED_MS, () => void this.#lookAgain());
      });
      return watcher.on('error', warn);
    } catch (thrown) {
      warn(thrown);
      return null;
    }
  }

  async #lookAgain(): Promise<void> {
    try {
      await this.#show();
    } catch (thrown) {
      this.#logger.warn({ err: thrown }, 'looking at the services failed');
    }
  }

  /** Our units that systemd knows of, present or not; tells of those that have ended since the last time. */
  async #look(): Promise<Shown[]> {
    const all = await show();
    const now = new Map(all.map((shown) => [shown.unit, shown]));
    for (const before of this.#before.values()) {
      const after = now.get(before.unit);
      const goesOn = after?.invocation === before.invocation && isPresent(after) && phaseOf(after) !== 'ended';
      if (!goesOn && phaseOf(before) !== 'ended') await this.#ended(before, after);
    }
    // Runs that began and ended since.
    for (const after of all) {
      const isNew = this.#before.get(after.unit)?.invocation !== after.invocation;
      if (isNew && phaseOf(after) === 'ended') await this.#ended(after, after);
    }
    this.#before = new Map(all.filter(isPresent).map((shown) => [shown.unit, shown]));
    return all;
  }

  async #ended(before: Shown, after: Shown | undefined): Promise<void> {
    const { unit } = before;
    const end = await readEnd(before);
    const endedAtUs = after && after.exitedAtUs > before.startedAtUs ? after.exitedAtUs : monotonicUs();
    // Somebody else may have told it to end. Of itself none of ours ends well.
    const wanted = this.#told.delete(before.invocation) || end?.result === 'success';
    const uptimeMs = (endedAtUs - before.startedAtUs) / 1000;
    const exit: ServiceExit = { unit, uptimeMs, wanted, how: end ? howEnded(end) : 'unknown' };
    this.#logger[wanted ? 'info' : 'warn']({ unit, reason: exit.how, durMs: uptimeMs }, 'service ended');
    for (const listener of this.#listeners) listener(exit);
  }
}

async function show(): Promise<Shown[]> {
  const text = await systemctl('show', `--property=${PROPERTIES.join()}`, ...OURS);
  return text.split('\n\n').flatMap((block) => {
    const value = new Map(block.split('\n').map((line) => line.split(/=(.*)/, 2) as [string, string]));
    const get = (name: string) => value.get(name) ?? '';
    if (get('Id') === '') return [];
    return [
      {
        unit: get('Id').replace(/\.service$/, ''),
        active: get('ActiveState'),
        sub: get('SubState'),
        invocation: get('InvocationID'),
        startedAtUs: Number(get('ExecMainStartTimestampMonotonic')),
        exitedAtUs: Number(get('ExecMainExitTimestampMonotonic')),
      },
    ];
  });
}

/** Whether it has a process, or systemd is about to give it one again. */
function isPresent({ active }: Shown): boolean {
  return active !== 'inactive' && active !== 'failed';
}

function phaseOf({ active, sub }: Shown): ServiceState['phase'] {
  if (active === 'deactivating') return 'stopping';
  return sub === 'auto-restart' ? 'ended' : 'running';
}

/** As systemd tells a unit's ExecStopPost=. */
interface End {
  result: string;
  code: string;
  status: string;
}

/** How a run ended, as its unit wrote it down: systemd itself forgets it when it starts the unit again. */
async function readEnd({ unit, invocation }: Shown): Promise<End | null> {
  const text = await readFile(endFile(unit), 'utf8').catch(() => '');
  const [run, result = '', code = '', status = ''] = text.trim().split(' ');
  return run === invocation ? { result, code, status } : null;
}

function howEnded({ result, code, status }: End): string {
  const how = code === 'exited' ? `exit code ${status}` : `signal SIG${status}`;
  const why = WHY_ENDED[result];
  return why === undefined ? how : `${how}, because ${why}`;
}

function systemctl(...args: string[]): Promise<string> {
  return runTool('systemctl', args, { timeoutMs: SYSTEMCTL_TIMEOUT_MS });
}

async function writeDropIn(unit: string, setting: string): Promise<void> {
  const file = join(DROP_INS, `${unit}.d`, DROP_IN);
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, `[Service]\n${setting}\n`, 0o644);
}

function environmentFile(unit: string): string {
  return join(RUN, `${unit}.env`);
}

/** Written by what orama-.service.d has each unit do at its end. */
function endFile(unit: string): string {
  return join(RUN, `${unit}${END_SUFFIX}`);
}

/** Empty for a unit that somebody else started, which so is started anew. */
async function readDigest(unit: string): Promise<string> {
  const text = await readFile(environmentFile(unit), 'utf8').catch(() => '');
  return /^ORAMA_DIGEST=(.*)$/m.exec(text)?.[1] ?? '';
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
