import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BugLog } from '../bug-log.ts';
import { hostKey } from '../stun/index.ts';
import { openBatchedSockets } from '../udp/batched/open-batched.ts';
import type { UdpSockets } from '../udp/udp-socket.ts';
import { BoundPorts } from './bound-ports.ts';
import { DropCounters, type RelayPort } from './relay.ts';
import { RelaySockets, relaySocketsMemory } from './relay-sockets.ts';
import { UdpRelay } from './udp-relay.ts';

const RELAY = '127.33.10.1';
const PEER = '127.33.10.2';
const OTHER_PEER = '127.33.10.3';
/** What clients know a peer behind 1:1 NAT by. */
const TOLD = '198.51.100.7';
const ANY_PORT = [{ start: 1024, end: 65_535 }];
const PING = Buffer.from('ping');

let sockets: UdpSockets;
let port: RelayPort;
let told: [address: string, port: number][];
beforeEach(async () => {
  const drops = new DropCounters();
  sockets = await openBatchedSockets(drops, new BugLog(silentLogger, systemClock));
  told = [];
  const client = {
    sendChannelData: () => undefined,
    sendDataIndication: () => undefined,
    sendIcmpIndication: (address: string, peerPort: number) => told.push([address, peerPort]),
  };
  port = await new UdpRelay(
    sockets,
    drops,
    systemClock,
    new BoundPorts(),
    new RelaySockets(relaySocketsMemory(1)),
  ).open({
    address: RELAY,
    port: await gonePort(RELAY),
    client,
  });
});
afterEach(async () => {
  await port.close();
  await sockets.close();
});

/** A port that nobody has. */
async function gonePort(address: string): Promise<number> {
  const socket = createSocket('udp4').bind({ address, port: 0 });
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

test('an ICMP error is told for a host that is permitted when it comes, and for no other', async () => {
  const [revoked, permitted] = [await gonePort(PEER), await gonePort(OTHER_PEER)];
  for (const address of [PEER, OTHER_PEER]) port.permit({ address, ports: ANY_PORT, source: RELAY });
  port.relaySend(hostKey(PEER), revoked, PING, false);
  port.relaySend(hostKey(OTHER_PEER), permitted, PING, false);
  // The errors have come by now and are read in the next turn, in their order.
  port.revoke(PEER);
  await expect.poll(() => told, { interval: 5 }).toHaveLength(1);
  expect(told).toEqual([[OTHER_PEER, permitted]]);
});

test('an ICMP error names a peer behind 1:1 NAT as the client knows it', async () => {
  const gone = await gonePort(PEER);
  port.permit({ address: TOLD, ports: ANY_PORT, source: RELAY, reach: PEER });
  port.relaySend(hostKey(TOLD), gone, PING, false);
  await expect.poll(() => told, { interval: 5 }).toEqual([[TOLD, gone]]);
});
