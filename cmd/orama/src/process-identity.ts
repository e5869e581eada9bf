import { readFileSync } from 'node:fs';
import { type ProcessStat, parseProcessStat } from '@orama/core';
import type { ProcessIdentity } from './dev/state.ts';

/** What the kernel says about a running process, or null when there is none of that number (or only its remains). */
function readStat(pid: number): ProcessStat | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  return parseProcessStat(stat);
}

/** The identity of a running process; null when it is gone. */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readStat(pid);
  return stat && { pid, startTime: stat.startTime };
}

/** Whether that very process still runs. */
export function isRunning(process: ProcessIdentity | null | undefined): process is ProcessIdentity {
  return process != null && readStat(process.pid)?.startTime === process.startTime;
}

/**
 * The package runners (npx, pnpm) that this process was started through, and the shells between them. Whoever was
 * started by any other program, such as our own detached supervisor, has none.
 */
export function packageRunners(): ProcessIdentity[] {
  const ancestors: ProcessIdentity[] = [];
  let runners = 0;
  for (let pid = process.ppid; pid > 1; ) {
    const stat = readStat(pid);
    if (!stat || !/^(npm|npx|pnpm|sh|dash|bash)\b/.test(stat.name)) break;
    ancestors.push({ pid, startTime: stat.startTime });
    if (/^(npm|npx|pnpm)\b/.test(stat.name)) runners = ancestors.length;
    pid = stat.parent;
  }
  return ancestors.slice(0, runners);
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
