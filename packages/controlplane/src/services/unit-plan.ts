import type { ServiceState } from './service-manager.ts';

/** A unit that must run, with the digest of the configuration it must run with. */
export interface DesiredUnit {
  unit: string;
  configDigest: string;
}

export type UnitStep = { do: 'start'; unit: string; reason: string } | { do: 'stop'; unit: string; reason: string };

/**
 * What to do so that exactly the desired units run. A unit whose configuration changed is stopped; it is started again
 * once it is gone. Pure.
 * @param observed the units of the same kind that have a process
 * @param mayStart whether a unit may be started, again if it crashed
 * @param isHeld whether a unit is to stay down once it has ended, also where systemd would start it again after a crash
 */
export function planUnits(
  desired: readonly DesiredUnit[],
  observed: readonly ServiceState[],
  mayStart: (unit: string) => boolean,
  isHeld: (unit: string) => boolean = () => false,
): UnitStep[] {
  const steps: UnitStep[] = [];
  const wanted = new Map(desired.map((unit) => [unit.unit, unit]));
  const present = new Set(observed.map((state) => state.unit));
  for (const state of observed) {
    if (state.phase === 'stopping') continue;
    const want = wanted.get(state.unit);
    if (!want) steps.push({ do: 'stop', unit: state.unit, reason: 'not desired here' });
    else if (want.configDigest !== state.configDigest)
      steps.push({ do: 'stop', unit: state.unit, reason: 'its configuration changed' });
    else if (state.phase === 'ended' && isHeld(state.unit))
      steps.push({ do: 'stop', unit: state.unit, reason: 'it was drained' });
  }
  for (const { unit } of desired) {
    if (!present.has(unit) && mayStart(unit) && !isHeld(unit))
      steps.push({ do: 'start', unit, reason: 'desired here' });
  }
  return steps;
}
