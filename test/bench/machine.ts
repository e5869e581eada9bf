import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
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

/** Processor time of all threads of a process so far, in microseconds. */
export function cpuUs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    try {
      return sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
    } catch {
      // The thread ended meanwhile.
      return sum;
    }
  }, 0);
}

/** Resident kilobytes of a process. */
export function residentKb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (match === null) throw new Error(`process ${pid} is gone`);
  return Number(match[1]);
}

const LOOK_MS = 1_000;
const LOOK = `
const end = performance.now() + ${LOOK_MS};
let stalledMs = 0;
for (let last = performance.now(); last < end; ) {
  const now = performance.now();
  if (now - last > 0.1) stalledMs += now - last;
  last = now;
}
console.log(stalledMs / ${LOOK_MS});`;

/** The share of a second in which a loop that only reads the clock, alone on a core, found itself stopped for 0.1 ms and longer. */
export function stalledShare(core: number): number {
  return Number(execFileSync('taskset', ['-c', String(core), process.execPath, '-e', LOOK], { encoding: 'utf8' }));
}

/** The machine in one line. */
export function describeMachine(): string {
  const [first] = cpus();
  const receiveBuffer = readFileSync('/proc/sys/net/core/rmem_max', 'utf8').trim();
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores ${first?.model ?? arch()}, ${memoryGb} GB, Linux ${release()}, net.core.rmem_max ${receiveBuffer}`;
}
