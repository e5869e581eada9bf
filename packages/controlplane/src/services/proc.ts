import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { parseProcessStat } from '@orama/core';

/** Id of this boot of the kernel. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** What identifies a living process. */
export interface LivingProcess {
  startTimeTicks: number;
  /** Pid of the process that leads its session. */
  session: number;
}

/**
 * Looks at a process; null when there is none. A zombie counts as gone. Read at once: the kernel writes it on the spot, and
 * the thread pool would cost ten times as much.
 */
export function readProcess(pid: number): LivingProcess | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  const stat = parseProcessStat(text);
  return stat && { session: stat.session, startTimeTicks: Number(stat.startTime) };
}

/** Processes that carry `name=value` in the environment they were started with, with that environment. */
export async function findByEnvironment(
  name: string,
  value: string,
): Promise<{ pid: number; environment: Map<string, string> }[]> {
  const found = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    let text: string;
    try {
      text = await readFile(`/proc/${entry}/environ`, 'utf8');
    } catch {
      continue; // gone meanwhile, or another user's
    }
    if (!text.includes(`${name}=${value}`)) continue;
    const environment = new Map(
      text.split('\0').map((line) => {
        const at = line.indexOf('=');
        return [line.slice(0, at), line.slice(at + 1)] as const;
      }),
    );
    if (environment.get(name) === value) found.push({ pid: Number(entry), environment });
  }
  return found;
}
