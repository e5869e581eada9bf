import { readdir, readFile } from 'node:fs/promises';

/** Id of this boot of the kernel. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** What /proc tells of a living process. */
export interface ProcessStat {
  startTimeTicks: number;
  /** Pid of the process that leads its session. */
  session: number;
}

/**
 * Looks at a process; null when there is none. A zombie counts as gone: it runs nothing and holds nothing.
 * The second field of the file is the program's name in brackets and may hold anything, so fields are counted after it.
 */
export async function readProcess(pid: number): Promise<ProcessStat | null> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  if (state === 'Z' || state === 'X') return null;
  return { session: Number(fields[3]), startTimeTicks: Number(fields[19]) };
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
