import { readdirSync, readFileSync } from 'node:fs';
import { waitUntil } from '../wait.ts';

export interface ProcessInfo {
  pid: number;
  parentPid: number;
  /** `R`, `S`, `Z` ...: see proc(5). */
  state: string;
  /** Clock ticks since boot; with the pid it names a process for good. */
  startTime: number;
  args: string[];
}

/** What the kernel knows of a process, or null when there is none. */
export function processInfo(pid: number): ProcessInfo | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return {
      pid,
      parentPid: Number(fields[1]),
      state: fields[0] as string,
      startTime: Number(fields[19]),
      args,
    };
  } catch {
    return null;
  }
}

/** Every process of this machine that is not a zombie. */
export function listProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processInfo(Number(name)))
    .filter((info) => info !== null && info.state !== 'Z') as ProcessInfo[];
}

/** Processes with `text` in one of their arguments, this process and its ancestors aside. */
export function processesMentioning(text: string): ProcessInfo[] {
  const own = new Set<number>();
  for (let pid = process.pid; pid > 1; pid = processInfo(pid)?.parentPid ?? 0) own.add(pid);
  return listProcesses().filter((info) => !own.has(info.pid) && info.args.some((arg) => arg.includes(text)));
}

/** Whether the process lives; a zombie does not. */
export function isAlive(pid: number): boolean {
  const info = processInfo(pid);
  return info !== null && info.state !== 'Z';
}

/** `kill -9`, and waits until the kernel has taken the process away. */
export async function killNow(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitUntil(
    `process ${pid} to be gone`,
    () => isAlive(pid),
    (alive) => !alive,
    { timeoutMs: 5_000, intervalMs: 5 },
  );
}
