import { readdirSync, readFileSync } from 'node:fs';

/** Processes that this one has started to hold rooms. */
export function workerProcesses(): number[] {
  return readdirSync('/proc/self/task')
    .flatMap((thread) => unlessGone(() => readFileSync(`/proc/self/task/${thread}/children`, 'utf8')).split(' '))
    .filter((pid) => unlessGone(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).includes('worker-process'))
    .map(Number);
}

/** What /proc says; '' of a thread, process or descriptor that has ended since it was listed. */
export function unlessGone(read: () => string): string {
  try {
    return read();
  } catch (thrown) {
    if (['ENOENT', 'ESRCH'].includes((thrown as NodeJS.ErrnoException).code ?? '')) return '';
    throw thrown;
  }
}
