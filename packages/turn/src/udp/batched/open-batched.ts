import type { BugLog } from '../../bug-log.ts';
import type { DropCounters } from '../../relay/relay.ts';
import { HostAddress } from '../udp-socket.ts';
import { BatchedSockets } from './batched-sockets.ts';
import { Libc } from './libc.ts';
import { findLoopDescriptor } from './loop-descriptor.ts';

const LOOPBACK = '127.0.0.1';
const TEST_TIMEOUT_MS = 2_000;
const TEST_SIZES = [0, 1, 1200, 9000];

/** Batched sockets for this thread, proven by datagrams to itself. Rejects where they cannot be had. */
export async function openBatchedSockets(drops: DropCounters, bugs: BugLog): Promise<BatchedSockets> {
  const libc = new Libc();
  const loopDescriptor = await findLoopDescriptor(libc);
  if (loopDescriptor === undefined) throw new Error('the event loop’s descriptor was not found');
  const sockets = new BatchedSockets(libc, loopDescriptor, drops, bugs);
  try {
    await selfTest(sockets);
    return sockets;
  } catch (thrown) {
    await sockets.close();
    throw thrown;
  }
}

/** Sends datagrams from one socket to another that sends them back framed, and compares what returns. */
async function selfTest(sockets: BatchedSockets): Promise<void> {
  const here = new HostAddress(LOOPBACK);
  const header = Buffer.from('self');
  const common = { address: LOOPBACK, port: 0, sendQueueMaxBytes: 65_536 };
  let returned: (datagram: Buffer) => void = () => undefined;
  const first = await sockets.open({
    ...common,
    onDatagram: (buffer, bytes) => returned(Buffer.from(buffer.subarray(0, bytes))),
  });
  const second = await sockets.open({
    ...common,
    onDatagram: (buffer, bytes, _host, port) => second.sendFramed(header, header.length, buffer, bytes, 1, here, port),
  });
  try {
    for (const size of TEST_SIZES) {
      const sent = Buffer.alloc(size, size & 255);
      const back = await new Promise<Buffer>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('a datagram to this thread was lost')), TEST_TIMEOUT_MS);
        returned = (datagram) => {
          clearTimeout(timer);
          resolve(datagram);
        };
        if (size <= 1) first.sendWithDf(sent, 0, size, here, second.port);
        else first.send(sent, 0, size, here, second.port);
      });
      if (!back.equals(Buffer.concat([header, sent, Buffer.alloc(1)]))) throw new Error('a datagram came back changed');
    }
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
}
