import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';

/** Clock ticks of /proc/stat, in microseconds. */
const TICK_US = 10_000;

/** Microseconds that a core has been busy since boot, whoever it worked for. */
export function coreBusyUs(core: number): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`cpu${core} `));
  if (line === undefined) throw new Error(`there is no core ${core}`);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_US;
}

/** Resident kilobytes of a process. */
export function residentKb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (match === null) throw new Error(`process ${pid} is gone`);
  return Number(match[1]);
}

/** The machine in one line. */
export function describeMachine(): string {
  const [first] = cpus();
  const receiveBuffer = readFileSync('/proc/sys/net/core/rmem_max', 'utf8').trim();
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores ${first?.model ?? arch()}, ${memoryGb} GB, Linux ${release()}, net.core.rmem_max ${receiveBuffer}`;
}
