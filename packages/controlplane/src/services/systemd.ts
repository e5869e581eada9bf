import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, type Logger, type Timer, writeFileAtomic } from '@orama/core';
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

/** How often ends of units are looked for. systemd starts them again by itself. */
const WATCH_MS = 1_000;
const SYSTEMCTL_TIMEOUT_MS = 10_000;
const DROP_INS = '/run/systemd/system';
/** Of the controlplane alone: environments of units, and how they ended. */
const RUN = '/run/orama';
const DROP_IN = '50-node.conf';
const OURS = [GATEWAY_UNIT, TURN_UNIT, `${TENANT_UNIT_PREFIX}*`, `${SFU_UNIT_PREFIX}*`].map(
  (unit) => `${unit}.service`,
);
const PROPERTIES = [
  ...['Id', 'ActiveState', 'SubState', 'InvocationID', 'NRestarts'],
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
  restarts: string;
  startedAtUs: number;
  exitedAtUs: number;
}

/**
 * Units of systemd, driven by systemctl. What there is is asked of systemd each time. Commands stand in the unit files;
 * the digest of what a unit was started with is in the environment file that systemd gives it, at each restart as well.
 */
export class SystemdServices implements ServiceManager {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #listeners = new Set<(exit: ServiceExit) => void>();
  /** What ran at the last look, to see what has ended since. */
  #before = new Map<string, Shown>();
  /** Runs of units that were told to end. */
  readonly #told = new Set<string>();
  readonly #watch: Timer;
  #isLooking = false;

  private constructor({ logger, clock }: Options) {
    this.#logger = logger;
    this.#clock = clock;
    this.#watch = clock.every(WATCH_MS, () => void this.#look());
  }

  /** Gives our units what only this node knows. Throws where systemd does not answer. */
  static async open(options: Options): Promise<SystemdServices> {
    await writeDropIn(`${SFU_UNIT_PREFIX}.service`, `IPAddressAllow=${options.wireguardNetwork}`);
    await writeDropIn(`${TURN_UNIT}.service`, `TimeoutStopSec=${Math.ceil(options.turnStopMs / 1000)}`);
    await systemctl('daemon-reload');
    return new SystemdServices(options);
  }

  /** Stops watching. The units keep running. */
  close(): void {
    this.#watch.cancel();
    this.#listeners.clear();
  }

  async list(): Promise<ServiceState[]> {
    const states = (await show()).filter(isPresent).map(async (shown): Promise<ServiceState> => {
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
    const present = (await show()).some((shown) => shown.unit === unit && isPresent(shown));
    if (present) return;
    await writeFileAtomic(environmentFile(unit), `ORAMA_DIGEST=${configDigest}\n`);
    await systemctl('start', '--no-block', `${unit}.service`);
    this.#logger.info({ unit }, 'service started');
  }

  async stop(unit: string, deadlineMs: number): Promise<void> {
    const running = (await show()).find((shown) => shown.unit === unit && isPresent(shown));
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

  onExit(listener: (exit: ServiceExit) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Of a run that was told to end and did not. After its own time limit systemd does so, whoever runs then. */
  async #kill({ unit, invocation }: Shown): Promise<void> {
    try {
      const still = (await show()).some((shown) => shown.invocation === invocation && isPresent(shown));
      if (still) await systemctl('kill', '--signal=SIGKILL', `${unit}.service`);
    } catch (thrown) {
      this.#logger.warn({ unit, err: thrown }, 'a service that does not end cannot be killed');
    }
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const now = new Map((await show()).map((shown) => [shown.unit, shown]));
      for (const before of this.#before.values()) {
        const after = now.get(before.unit);
        const goesOn = after && isPresent(after) && after.invocation === before.invocation;
        if (!goesOn || after.restarts !== before.restarts) await this.#ended(before, after);
      }
      this.#before = new Map([...now].filter(([, shown]) => isPresent(shown)));
    } catch (thrown) {
      this.#logger.warn({ err: thrown }, 'looking at the services failed');
    } finally {
      this.#isLooking = false;
    }
  }

  async #ended(before: Shown, after: Shown | undefined): Promise<void> {
    const { unit } = before;
    const end = await readEnd(before);
    const endedAtUs = after && after.exitedAtUs > before.startedAtUs ? after.exitedAtUs : monotonicUs();
    // Somebody else may have told it to end, or it failed and was on its way out at the last look.
    const wanted =
      this.#told.delete(before.invocation) || (phaseOf(before) === 'stopping' && end?.result === 'success');
    const uptimeMs = (endedAtUs - before.startedAtUs) / 1000;
    const exit: ServiceExit = { unit, uptimeMs, wanted, how: end ? howEnded(end) : 'unknown' };
    this.#logger[wanted ? 'info' : 'warn']({ unit, reason: exit.how, durMs: uptimeMs }, 'service ended');
    for (const listener of this.#listeners) listener(exit);
  }
}

/** Our units that systemd knows of, present or not. */
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
        restarts: get('NRestarts'),
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
  return join(RUN, `${unit}.end`);
}

/** Empty for a unit that somebody else started, which so is started anew. */
async function readDigest(unit: string): Promise<string> {
  const text = await readFile(environmentFile(unit), 'utf8').catch(() => '');
  return /^ORAMA_DIGEST=(.*)$/m.exec(text)?.[1] ?? '';
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
