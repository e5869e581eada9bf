import { VirtualClock } from '@orama/core';
import { afterEach, describe, expect, test } from 'vitest';
import { ATTRIBUTE, METHOD, requestedTransport } from '../stun/index.ts';
import { PUBLIC_IP, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';
import { DgramSockets } from '../udp/dgram-sockets.ts';

const LOOPBACK6 = '::1';
const DUAL = { address: RELAY_IP, address6: LOOPBACK6, portStart: 49_152, portEnd: 49_951 };
const PEERS = [SFU_IP, LOOPBACK6].map((ip) => ({ ip, portStart: 20_000, portEnd: 65_535 }));
/** One IPv6 packet of the loopback interface takes 65,488 bytes. */
const TOO_LARGE = Buffer.alloc(65_489, 1);

let turn: TurnHarness;
afterEach(() => turn.close());

describe('DONT-FRAGMENT', () => {
  test.each(['udp', 'tcp'] as const)('is accepted by Allocate and honoured by Send, over %s', async (transport) => {
    turn = await TurnHarness.start({ listen: [PUBLIC_IP] }, new VirtualClock());
    const client = await turn.client(transport);
    await client.allocate({ dontFragment: true });
    const peer = await turn.peer();
    await client.createPermission(SFU_IP);
    client.send(SFU_IP, peer.port, Buffer.from('whole'), { dontFragment: true });
    expect((await peer.next()).data.toString()).toBe('whole');
  });

  test('in Send drops what is larger than the path MTU, and what goes without it is fragmented', async () => {
    turn = await TurnHarness.start({ listen: [PUBLIC_IP] }, new VirtualClock());
    await turn.attach({ relay: DUAL, peers: PEERS, generation: 2 });
    const client = await turn.client('tcp');
    await client.allocate({ family: 6, dontFragment: true });
    const peer = await turn.peer(LOOPBACK6);
    await client.createPermission(LOOPBACK6);
    client.send(LOOPBACK6, peer.port, TOO_LARGE, { dontFragment: true });
    client.send(LOOPBACK6, peer.port, TOO_LARGE);
    client.send(LOOPBACK6, peer.port, Buffer.from('after'), { dontFragment: true });
    expect((await peer.next()).data.equals(TOO_LARGE)).toBe(true);
    expect((await peer.next()).data.toString()).toBe('after');
    expect(turn.drops.sendFailed).toBe(1);
  });

  test('is answered with 420 and never sent where only Node’s sockets are to be had', async () => {
    turn = await TurnHarness.start({}, new VirtualClock(), undefined, (drops, bugs) => new DgramSockets(drops, bugs));
    const client = await turn.client();
    await expect(client.allocate({ dontFragment: true })).rejects.toMatchObject({ code: 420 });
    const request = client.buildRequest(METHOD.allocate, (writer) =>
      writer.bytes(ATTRIBUTE.requestedTransport, requestedTransport()).flag(ATTRIBUTE.dontFragment),
    );
    const reply = await client.exchange(request);
    expect(reply.errorCode).toBe(420);
    expect(reply.bytes(ATTRIBUTE.unknownAttributes)?.toString('hex')).toBe('001a');

    await client.allocate();
    const peer = await turn.peer();
    await client.createPermission(SFU_IP);
    client.send(SFU_IP, peer.port, Buffer.from('never'), { dontFragment: true });
    client.send(SFU_IP, peer.port, Buffer.from('sent'));
    expect((await peer.next()).data.toString()).toBe('sent');
    expect(turn.drops.sendFailed).toBe(1);
  });
});
