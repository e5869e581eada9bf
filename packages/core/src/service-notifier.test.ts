import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VirtualClock } from './clock.ts';
import { notifyTarget } from './config/notify-target.ts';
import { openServiceNotifier } from './service-notifier.ts';

const libc = koffi.load(null);
const [AF_UNIX, SOCK_DGRAM, MSG_DONTWAIT] = [1, 2, 0x40];
const open = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, const void *, uint)');
const receive = libc.func('long recv(int, _Out_ void *, size_t, int)');
const shut = libc.func('int close(int)');

/** A service manager's socket. */
class Listener {
  readonly #socket: number = open(AF_UNIX, SOCK_DGRAM, 0);

  constructor(name: string) {
    const address = Buffer.from(`\x01\0${name}`);
    if (bind(this.#socket, address, address.length) !== 0) throw new Error(`bind: ${koffi.errno()}`);
  }

  /** The next message that came, or null. */
  next(): string | null {
    const room = Buffer.alloc(1024);
    const bytes = receive(this.#socket, room, room.length, MSG_DONTWAIT);
    return bytes < 0 ? null : room.toString('utf8', 0, bytes);
  }

  close(): void {
    shut(this.#socket);
  }
}

let dir: string;
let path: string;
let listener: Listener;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'notify-'));
  path = join(dir, 'socket');
  listener = new Listener(`${path}\0`);
});
afterEach(() => {
  listener.close();
  rmSync(dir, { recursive: true });
});

test('ServiceNotifier says that it is ready, alive twice in the time of the watchdog, and stopping, and a new status soon', async () => {
  const clock = new VirtualClock();
  let status: string | undefined = 'one\nline';
  const notifier = await openServiceNotifier(() => status, { socket: path, watchdogMs: 10_000 }, clock);
  for (const waitMs of [1_000, 4_000]) {
    clock.advance(waitMs - 1);
    expect(listener.next()).toBeNull();
    clock.advance(1);
    expect(listener.next()).toBe('WATCHDOG=1\nSTATUS=one line\n');
  }
  notifier?.ready();
  expect(listener.next()).toBe('READY=1\nWATCHDOG=1\nSTATUS=one line\n');
  status = undefined;
  for (const waitMs of [1_000, 4_000]) {
    clock.advance(waitMs - 1);
    expect(listener.next()).toBeNull();
    clock.advance(1);
    expect(listener.next()).toBe('READY=1\nWATCHDOG=1\n');
  }
  notifier?.stopping();
  expect(listener.next()).toBe('STOPPING=1\nWATCHDOG=1\n');
  notifier?.close();
  expect(clock.pending).toBe(0);
});

test('a service manager with a full socket, or without one any more, holds nothing up', async () => {
  const notifier = await openServiceNotifier(() => 'x'.repeat(500), { socket: path, watchdogMs: undefined });
  for (let n = 0; n < 2_000; n += 1) notifier?.ready();
  expect(listener.next()).toContain('READY=1');
  listener.close();
  expect(() => notifier?.stopping()).not.toThrow();
});

test('an abstract socket is spoken to as well, and one that is not there is refused with its path', async () => {
  const name = `orama-notify-${process.pid}`;
  const abstract = new Listener(`\0${name}`);
  const notifier = await openServiceNotifier(() => undefined, { socket: `@${name}`, watchdogMs: undefined });
  notifier?.ready();
  expect(abstract.next()).toBe('READY=1\nWATCHDOG=1\n');
  abstract.close();
  const nowhere = join(dir, 'nowhere');
  await expect(openServiceNotifier(() => undefined, { socket: nowhere, watchdogMs: undefined })).rejects.toThrow(
    `connect ${nowhere}: ENOENT`,
  );
});

test('notifyTarget() reads what systemd says, and takes a watchdog that is meant for another process for none', () => {
  expect(notifyTarget({})).toBeUndefined();
  expect(notifyTarget({ NOTIFY_SOCKET: '/n' })).toEqual({ socket: '/n', watchdogMs: undefined });
  const watched = { NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '3000000' };
  expect(notifyTarget(watched)).toEqual({ socket: '/n', watchdogMs: 3_000 });
  expect(notifyTarget({ ...watched, WATCHDOG_PID: `${process.pid}` })?.watchdogMs).toBe(3_000);
  expect(notifyTarget({ ...watched, WATCHDOG_PID: '1' })?.watchdogMs).toBeUndefined();
});

test('a program of runMain tells its service manager of its start, its status and its end', async () => {
  const main = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./logger.ts'))};
    import { runMain } from ${JSON.stringify(import.meta.resolve('./lifecycle.ts'))};
    const idle = { async start() { setInterval(() => {}, 1e6); }, async stop() {}, statusLine: 'idle' };
    await runMain(createLogger({ svc: 'test' }), () => idle);`;
  const args = ['--conditions=source', '--input-type=module', '--eval', main];
  const env = { ...process.env, NOTIFY_SOCKET: path, WATCHDOG_USEC: '20000000' };
  const child = spawn(process.execPath, args, { stdio: 'ignore', env });
  await expect.poll(() => listener.next()).toBe('READY=1\nWATCHDOG=1\nSTATUS=idle\n');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(listener.next()).toBe('STOPPING=1\nWATCHDOG=1\nSTATUS=idle\n');
});
