import { execFileSync } from 'node:child_process';

/** The server lives in a network namespace of its own, one veth pair away from the clients. */
const NAMESPACE = 'orama-bench-sfu';
export const SERVER_ADDRESS = '10.96.0.2';
export const CLIENT_ADDRESS = '10.96.0.1';
const PREFIX = 24;
const CLIENT_LINK = 'ob-sfu-c';
const SERVER_LINK = 'ob-sfu-s';
const TABLE = 'bench';
const COUNTER = 'media';
const LONG_BYTES = 1_100;
export const SERVER_CORE = 0;

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Makes the namespace, its link and its counter; needs root. Returns what takes them away again. */
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
  inNamespace('nft', ['-f', '-'], RULES);
  return remove;
}

/** The words before a command that runs in the server's namespace on one core. */
export function placedInBed(core: number): string[] {
  return ['ip', 'netns', 'exec', NAMESPACE, 'taskset', '-c', String(core)];
}

/** Datagrams of media that have left the server's namespace so far, whatever became of them. */
export function mediaSent(): number {
  const listed = inNamespace('nft', ['list', 'counter', 'ip', TABLE, COUNTER]);
  return Number(/packets (\d+)/.exec(listed)?.[1]);
}

/** RTCP, STUN and DTLS are shorter than the packets of media. */
const RULES = `table ip ${TABLE} {
  counter ${COUNTER} { }
  chain out {
    type filter hook output priority 0;
    udp length > ${LONG_BYTES} counter name "${COUNTER}"
  }
}`;

function inNamespace(command: string, args: readonly string[], input = ''): string {
  return execFileSync('ip', ['netns', 'exec', NAMESPACE, command, ...args], { encoding: 'utf8', input });
}
