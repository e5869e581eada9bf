import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createInternalServer } from './internal-http.ts';
import { silentLogger } from './logger.ts';

const handled: string[] = [];
const server = createInternalServer(({ method, path }) => {
  handled.push(`${method} ${path}`);
  return { status: 200 };
}, silentLogger);

beforeEach(async () => {
  handled.length = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

/** Sends a request; resolves when the server has ended the connection or answered. */
async function ask(method: string, path: string, { stays }: { stays: boolean }): Promise<void> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`);
  if (!stays) socket.end();
  await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.destroy();
}

test('what changes something is not begun for a client that has gone meanwhile', async () => {
  await ask('POST', '/gone', { stays: false });
  await ask('POST', '/there', { stays: true });
  await ask('GET', '/gone', { stays: false });
  expect(handled).toEqual(['POST /there', 'GET /gone']);
});
