/** Fields of `/proc/<pid>/stat` (proc_pid_stat(5)) that tell which process it is. */
export interface ProcessStat {
  name: string;
  parent: number;
  /** Pid of the process that leads its session. */
  session: number;
  /** Clock ticks after boot, as text; with the pid it names one process for good. */
  startTime: string;
}

/**
 * Reads the text of `/proc/<pid>/stat`; null for a zombie, which runs nothing and holds nothing. The program's name
 * stands in brackets and may hold anything, so the fields are counted after it: the first of them is field 3.
 */
export function parseProcessStat(text: string): ProcessStat | null {
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const [state] = fields;
  if (state === 'Z' || state === 'X') return null;
  return {
    name: text.slice(text.indexOf('(') + 1, nameEnd),
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTime: fields[19] ?? '',
  };
}
