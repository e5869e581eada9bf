import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { listSockets, showSocket, socketsOf } from '@orama/core';
import { expect, test } from 'vitest';
import { isAlive, killNow, processesMentioning, processInfo } from './processes.ts';

test('socketsOf finds the UDP and TCP sockets of a process, on IPv4 and IPv6, and forgets closed ones', async () => {
  const udp = createSocket('udp4');
  udp.bind(0, '127.93.0.1');
  const udp6 = createSocket('udp6');
  udp6.bind(0, '::1');
  await Promise.all([once(udp, 'listening'), once(udp6, 'listening')]);
  const tcp = createServer().listen(0, '127.93.0.2');
  await once(tcp, 'listening');
  const tcpPort = (tcp.address() as { port: number }).port;

  const seen = socketsOf(process.pid).map(showSocket);
  expect(seen).toContain(`udp 127.93.0.1:${udp.address().port}`);
  expect(seen).toContain(`udp ::1:${udp6.address().port}`);
  expect(seen).toContain(`tcp 127.93.0.2:${tcpPort}`);
  expect(listSockets().find((socket) => socket.local.address === '127.93.0.2')?.listening).toBe(true);

  const port = udp.address().port;
  await Promise.all([udp, udp6].map((socket) => new Promise<void>((done) => socket.close(done))));
  await new Promise((done) => tcp.close(done));
  expect(socketsOf(process.pid).map(showSocket)).not.toContain(`udp 127.93.0.1:${port}`);
});

test('killNow ends a process for good, and processesMentioning finds it by an argument until then', async () => {
  const mark = `testkit-${process.pid}-${performance.now()}`;
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', mark], { stdio: 'ignore' });
  await once(child, 'spawn');
  const pid = child.pid as number;
  expect(processesMentioning(mark).map((info) => info.pid)).toEqual([pid]);
  expect(processInfo(pid)?.parentPid).toBe(process.pid);
  await killNow(pid);
  expect(isAlive(pid)).toBe(false);
  expect(processesMentioning(mark)).toEqual([]);
});
