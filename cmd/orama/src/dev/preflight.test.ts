import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_DEV_SETTINGS, planNodes } from './layout.ts';
import { checkAddresses, wantedAddresses } from './preflight.ts';

const nodes = planNodes('/tmp/unused', { ...DEFAULT_DEV_SETTINGS, loopbackPrefix: '127.86', httpPort: 6940 });
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listenTcp(address: string, port: number): Promise<void> {
  const server = createServer().listen(port, address);
  closers.push(() => server.close());
  await once(server, 'listening');
}

describe('checkAddresses', () => {
  it('accepts a cluster whose addresses are free', async () => {
    await checkAddresses(nodes.flatMap((node) => wantedAddresses(node, false)));
  });

  it('names every address that is taken, who wants it and which option to change', async () => {
    await listenTcp('127.0.0.1', 6941);
    const socket = createSocket('udp4').bind(3478, '127.86.1.3');
    closers.push(() => socket.close());
    await once(socket, 'listening');
    const check = checkAddresses(nodes.flatMap((node) => wantedAddresses(node, false)));
    await expect(check).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('127.0.0.1:6941/tcp (gateway of node-2) is in use by another program'),
      hint: expect.stringContaining('--http-port'),
      details: { addresses: [expect.stringContaining('6941'), expect.stringContaining('127.86.1.3:3478/udp')] },
    });
  });

  it('does not look at the addresses of services that are still running', async () => {
    await listenTcp('127.0.0.1', 6940);
    await checkAddresses(wantedAddresses(nodes[0] as (typeof nodes)[0], true));
  });
});
