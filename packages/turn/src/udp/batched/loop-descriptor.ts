import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Libc } from './libc.ts';

/** Turns of the event loop within which it begins to watch a new socket. */
const TURNS_MAX = 50;

/**
 * The epoll descriptor that this thread's event loop waits on. It is found by giving the loop a socket to watch and
 * looking which of the process's epoll instances watches it. Undefined where /proc does not tell.
 */
export async function findLoopDescriptor(libc: Libc): Promise<number | undefined> {
  const [watched, other] = libc.socketPair();
  // The event loop owns the first from here on.
  const socket = new Socket({ fd: watched, readable: true, writable: true });
  socket.resume();
  try {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      await nextTurn();
      const found = epollWatching(watched);
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    socket.destroy();
    libc.close(other);
  }
}

function epollWatching(descriptor: number): number | undefined {
  const wanted = new RegExp(`^tfd:\\s*${descriptor}\\s`, 'm');
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`) !== 'anon_inode:[eventpoll]') continue;
      if (wanted.test(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))) return Number(name);
    } catch {
      // Closed since the directory was read.
    }
  }
  return undefined;
}
