import { type Logger, systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { expect, test } from 'vitest';
import { BugLog } from '../bug-log.ts';
import { DropCounters } from '../relay/relay.ts';
import { PreferredSockets } from './preferred-sockets.ts';
import { HostAddress } from './udp-socket.ts';

const HERE = '127.95.9.2';
const bugs = new BugLog(silentLogger, systemClock);

/** A logger that keeps the fields of its lines. */
function keeper(): { logger: Logger; lines: unknown[] } {
  const lines: unknown[] = [];
  return { lines, logger: { info: (fields: unknown) => lines.push(fields) } as unknown as Logger };
}

/** Sends a datagram from a socket to itself; what came. */
async function echo(sockets: PreferredSockets): Promise<string> {
  const came = Promise.withResolvers<string>();
  const socket = await sockets.open({
    address: HERE,
    port: 0,
    sendQueueMaxBytes: 65_536,
    onDatagram: (buffer, bytes) => came.resolve(buffer.toString('utf8', 0, bytes)),
  });
  socket.send(Buffer.from('hello'), 0, 5, new HostAddress(HERE), socket.port);
  const text = await came.promise;
  await socket.close();
  await sockets.close();
  return text;
}

test('PreferredSockets are Node’s own where the fastest are not to be had, and say why', async () => {
  const { logger, lines } = keeper();
  const refuse = () => Promise.reject(new Error('no such library'));
  expect(await echo(new PreferredSockets(new DropCounters(), bugs, logger, refuse))).toBe('hello');
  expect(lines).toEqual([{ sockets: 'dgram', reason: 'no such library' }]);
});

test('PreferredSockets are batched on 64-bit Linux', async () => {
  const { logger, lines } = keeper();
  expect(await echo(new PreferredSockets(new DropCounters(), bugs, logger))).toBe('hello');
  const batched = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
  expect(lines).toMatchObject([{ sockets: batched ? 'batched' : 'dgram' }]);
});
