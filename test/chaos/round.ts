import { setTimeout as delay } from 'node:timers/promises';
import type { Bed } from './bed/bed.ts';
import { publicIpOf } from './bed/network.ts';
import type { Call } from './call.ts';
import type { Fault } from './faults.ts';
import { alwaysHolds, holdsAtRest } from './invariants.ts';
import type { Shell } from './shell.ts';

/** A desired service may be missing for so long after the last fault, and everything has come to rest. */
const REST_MS = 30_000;
const LOOK_MS = 100;
/** Media that flowed for so long is back. */
const STEADY_MS = 1_000;

/** What became of a fault; times in ms from its beginning, null for what did not happen. */
export interface Outcome {
  fault: Fault;
  /** Until the cluster took the node for unreachable. */
  detectedMs: number | null;
  /** Until the node had left the records, or was back in them as it was. */
  movedMs: number | null;
  /** The longest time in which not every call had media; 0 where all had it all the time. */
  silentMs: number;
  /** From the end of the fault until everything was as it should be. */
  restMs: number;
  /** What the calls went through. */
  troubles: string[];
}

export interface Round {
  bed: Bed;
  calls: readonly Call[];
  shells: readonly Shell[];
}

/** A promise that the cluster did not keep. */
export class Broken extends Error {}

/** One fault from its beginning until everything is as it should be. @throws Broken */
export async function endure({ bed, calls, shells }: Round, fault: Fault): Promise<Outcome> {
  const startedAt = performance.now();
  const since = () => Math.round(performance.now() - startedAt);
  const outcome: Outcome = { fault, detectedMs: null, movedMs: null, silentMs: 0, restMs: 0, troubles: [] };
  let silentSince: number | null = null;
  let flowsSince: number | null = null;
  let left = false;
  const look = async () => {
    const flows = calls.every((call) => call.flows);
    if (!flows) [silentSince, flowsSince] = [silentSince ?? since(), null];
    else if (silentSince !== null) {
      flowsSince ??= since();
      if (since() - flowsSince >= STEADY_MS) {
        outcome.silentMs = Math.max(outcome.silentMs, flowsSince - silentSince);
        [silentSince, flowsSince] = [null, null];
      }
    }
    const broken = calls.flatMap((call) => call.faults);
    // While the store has no leader nobody can hold a block either.
    broken.push(...(await alwaysHolds(bed).catch(() => [])));
    if (broken.length > 0) throw new Broken(broken.join('\n'));
    await noteProgress();
    await delay(LOOK_MS);
  };
  const address = publicIpOf(fault.node);
  const noteProgress = async () => {
    if (outcome.detectedMs === null) {
      const [node] = await bed.store
        .rows('SELECT reachable FROM nodes WHERE id = ?', `node-${fault.node}`)
        .catch(() => []);
      if (node?.reachable === 0) outcome.detectedMs = since();
    }
    const isServed = bed.machines.some(
      (machine) =>
        machine.number !== fault.node &&
        bed.records(machine).some((record) => record.startsWith('turn.') && record.endsWith(` ${address}`)),
    );
    if (!isServed && !left) [left, outcome.movedMs] = [true, since()];
  };
  await fault.inject();
  while (since() < fault.lastsMs) await look();
  await fault.heal();
  const healedMs = since();
  const working = new Set(shells.map(({ namespace }) => namespace));
  for (const shell of shells) void shell.pause().then(() => working.delete(shell.namespace));
  for (;;) {
    await look();
    const wrong = await holdsAtRest(bed, shells).catch((thrown: unknown) => [
      `it cannot be told: ${thrown instanceof Error ? thrown.message : thrown}`,
    ]);
    wrong.push(...[...working].map((namespace) => `a command about ${namespace} does not end`));
    if (silentSince !== null) wrong.push(...calls.map((call) => `${call.room}: ${call.trouble}`));
    if (wrong.length === 0) break;
    if (since() - healedMs > REST_MS)
      throw new Broken(`${REST_MS / 1000} s after the end of the fault:\n  ${wrong.join('\n  ')}`);
  }
  outcome.restMs = since() - healedMs;
  outcome.troubles = calls.flatMap((call) => call.troublesSince(startedAt));
  for (const shell of shells) shell.resume();
  return outcome;
}
