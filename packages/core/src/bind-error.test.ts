import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { bindError } from './bind-error.ts';
import { createInternalServer, listen } from './internal-http.ts';
import { silentLogger } from './logger.ts';

const nobody = () => createInternalServer(async () => undefined, silentLogger);

test('a taken port is told by field, address, port and next step', async () => {
  const holder = nobody();
  const udp = createSocket('udp4').bind(0, '127.32.0.1');
  await once(udp, 'listening');
  const { port } = udp.address();
  await listen(holder, { address: '127.32.0.1', port, field: 'internal' });
  await expect(listen(nobody(), { address: '127.32.0.1', port, field: 'internal' })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: `internal: TCP port ${port} of 127.32.0.1 is in use by another program`,
    hint: `stop the one that ss -lnpt 'sport = :${port}' names, or configure another internal`,
  });
  holder.close();
  udp.close();
});

test('an address that the machine does not have is told as such', async () => {
  await expect(listen(nobody(), { address: '192.0.2.1', port: 0, field: 'listen' })).rejects.toMatchObject({
    message: 'listen: TCP port 0 of 192.0.2.1 cannot be had: this machine has no such address',
    hint: 'configure listen with an address of "ip address"',
  });
});

test.each([
  ['EACCES', 'may not be used by this user', 'CAP_NET_BIND_SERVICE'],
  ['ENOBUFS', 'cannot be had: no room', 'check listen, port'],
])('%s has its reason and its next step', (code, reason, hint) => {
  const cause = Object.assign(new Error('no room'), { code });
  const error = bindError(cause, { transport: 'udp', address: '127.0.0.1', port: 443, field: 'listen, port' });
  expect(error.message).toBe(`listen, port: UDP port 443 of 127.0.0.1 ${reason}`);
  expect(error.hint).toContain(hint);
  expect(error.cause).toBe(cause);
});
