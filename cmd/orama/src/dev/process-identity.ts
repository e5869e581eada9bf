import { readFileSync } from 'node:fs';
import type { ProcessIdentity } from './state.ts';

/** Kernel start time of a running process, or null when there is none of that number (or only its remains). */
function readStartTime(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The name, in parentheses, may hold anything; the fields after it start with the state, field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

/** The identity of a running process; null when it is gone. */
export function identify(pid: number): ProcessIdentity | null {
  const startTime = readStartTime(pid);
  return startTime === null ? null : { pid, startTime };
}

/** Whether that very process still runs. */
export function isRunning(process: ProcessIdentity | null | undefined): process is ProcessIdentity {
  return process != null && readStartTime(process.pid) === process.startTime;
}

/** Sends a signal to that very process; false when it is gone. */
export function signalProcess(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch {
    return false;
  }
}

/** Waits until none of them runs; the ones that still do after `timeoutMs`. */
export async function waitUntilGone(targets: ProcessIdentity[], timeoutMs: number): Promise<ProcessIdentity[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = targets.filter(isRunning);
    if (left.length === 0 || performance.now() >= deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** SIGTERM, then SIGKILL for those that outlive `timeoutMs`. */
export async function terminate(targets: ProcessIdentity[], timeoutMs: number): Promise<void> {
  for (const target of targets) signalProcess(target, 'SIGTERM');
  const left = await waitUntilGone(targets, timeoutMs);
  for (const target of left) signalProcess(target, 'SIGKILL');
  await waitUntilGone(left, 5_000);
}
