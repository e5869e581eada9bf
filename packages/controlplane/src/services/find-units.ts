import { join } from 'node:path';
import { findByEnvironment, readBootId, readProcess } from './proc.ts';
import { type RunFile, readRunFiles } from './run-file.ts';
import type { HealthAddress, ServiceSpec } from './service-manager.ts';

export const UNIT_NAME = /^[a-z0-9][a-z0-9@._-]{0,120}$/;

/** Marks a unit's process, so that it is found even when its controlplane died before it wrote the run file. */
export function unitEnvironment(runDir: string, { unit, configDigest, health }: Marked): Record<string, string> {
  const mark = { ORAMA_UNIT: unit, ORAMA_RUN_DIR: runDir, ORAMA_DIGEST: configDigest };
  return health ? { ...mark, ORAMA_HEALTH: `${health.address} ${health.port}` } : mark;
}

/** What a unit's environment tells of it. */
type Marked = Pick<ServiceSpec, 'unit' | 'configDigest' | 'health'>;

function healthOf(environment: ReadonlyMap<string, string>): HealthAddress | undefined {
  const [address, port] = environment.get('ORAMA_HEALTH')?.split(' ') ?? [];
  return address === undefined || port === undefined ? undefined : { address, port: Number(port) };
}

/** The units of a node as its run files and its processes show them. */
export interface FoundUnits {
  /** Running, with a run file that names this very process. */
  known: RunFile[];
  /** Running, without a run file. */
  unrecorded: RunFile[];
  /** Have a run file, but no process. */
  gone: string[];
}

/** Whether a run file's process lives: the same pid, start time and boot. A pid alone may be somebody else's by now. */
export function isRunning(run: Pick<RunFile, 'pid' | 'startTimeTicks' | 'bootId'>, bootId: string): boolean {
  return run.bootId === bootId && readProcess(run.pid)?.startTimeTicks === run.startTimeTicks;
}

/** Looks for the units of a run directory. Changes nothing. */
export async function findUnits(runDir: string): Promise<FoundUnits> {
  const bootId = await readBootId();
  const found: FoundUnits = { known: [], unrecorded: [], gone: [] };
  for (const { unit, run } of await readRunFiles(runDir)) {
    if (run && isRunning(run, bootId)) found.known.push(run);
    else found.gone.push(unit);
  }
  const seen = new Set(found.known.map(({ unit }) => unit));
  for (const { pid, environment } of await findByEnvironment('ORAMA_RUN_DIR', runDir)) {
    const unit = environment.get('ORAMA_UNIT') ?? '';
    const stat = readProcess(pid);
    // A child of a unit carries its mark as well; the unit itself is the one that leads its own session.
    if (stat?.session !== pid || !UNIT_NAME.test(unit) || seen.has(unit)) continue;
    seen.add(unit);
    found.unrecorded.push({
      unit,
      pid,
      startTimeTicks: stat.startTimeTicks,
      bootId,
      command: [],
      configDigest: environment.get('ORAMA_DIGEST') ?? '',
      startedAtMs: Date.now(),
      health: healthOf(environment),
    });
  }
  return found;
}

/** Names of the units that run on a data directory. Changes nothing, so that it may be asked beside a controlplane. */
export async function runningUnits(dataDir: string): Promise<string[]> {
  const { known, unrecorded } = await findUnits(join(dataDir, 'run'));
  return [...known, ...unrecorded].map(({ unit }) => unit).sort();
}
