import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The server lives in a network namespace of its own, one veth pair away from the clients. */
const NAMESPACE = 'orama-bench-sfu';
export const SERVER_ADDRESS = '10.96.0.2';
export const CLIENT_ADDRESS = '10.96.0.1';
const PREFIX = 24;
const CLIENT_LINK = 'ob-sfu-c';
const SERVER_LINK = 'ob-sfu-s';

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Makes the namespace and its link; needs root. Returns what takes them away again. */
export function makeBed(): () => void {
  const remove = () => {
    // The link goes with its namespace only when the last process there is gone.
    for (const what of [
      ['link', 'delete', CLIENT_LINK],
      ['netns', 'delete', NAMESPACE],
    ]) {
      try {
        ip(...what);
      } catch {
        // There is none: the wanted end.
      }
    }
  };
  remove();
  ip('netns', 'add', NAMESPACE);
  ip('link', 'add', CLIENT_LINK, 'type', 'veth', 'peer', 'name', SERVER_LINK, 'netns', NAMESPACE);
  ip('addr', 'add', `${CLIENT_ADDRESS}/${PREFIX}`, 'dev', CLIENT_LINK);
  ip('link', 'set', CLIENT_LINK, 'up');
  ip('-n', NAMESPACE, 'addr', 'add', `${SERVER_ADDRESS}/${PREFIX}`, 'dev', SERVER_LINK);
  ip('-n', NAMESPACE, 'link', 'set', SERVER_LINK, 'up');
  ip('-n', NAMESPACE, 'link', 'set', 'lo', 'up');
  return remove;
}

/** The words before a command that runs in the server's namespace on one core. */
export function placedInBed(core: number): string[] {
  return ['ip', 'netns', 'exec', NAMESPACE, 'taskset', '-c', String(core)];
}

/** UDP datagrams of the server's namespace so far. */
export interface Datagrams {
  received: number;
  sent: number;
  /** That found a full socket. */
  dropped: number;
}

/** @param pid a process in the namespace */
export function datagramsOf(pid: number): Datagrams {
  const [names, values] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' ').slice(1));
  const value = (name: string) => Number(values?.[names?.indexOf(name) ?? -1]);
  return { received: value('InDatagrams'), sent: value('OutDatagrams'), dropped: value('RcvbufErrors') };
}
