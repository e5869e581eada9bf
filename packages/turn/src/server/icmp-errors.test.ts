import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PeerError, TurnClient } from '../client/turn-client.ts';
import { PUBLIC_IP, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

const LOOPBACK6 = '::1';
const PORT_UNREACHABLE = { type: 3, code: 3, data: 0 };

let turn: TurnHarness;
let clock: VirtualClock;
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({ listen: [PUBLIC_IP] }, clock);
});
afterEach(() => turn.close());

/** The port of a peer that is gone. */
async function goneFrom(address: string): Promise<number> {
  const peer = await turn.peer(address);
  await peer.close();
  return peer.port;
}

function errorsOf(client: TurnClient): PeerError[] {
  const errors: PeerError[] = [];
  client.onPeerError((error) => errors.push(error));
  return errors;
}

describe('a client whose peer is gone', () => {
  test.each(['udp', 'tcp', 'tls'] as const)(
    'learns it from a Data indication with ICMP, over %s',
    async (transport) => {
      const client = await turn.client(transport);
      const errors = errorsOf(client);
      await client.allocate();
      const port = await goneFrom(SFU_IP);
      await client.createPermission(SFU_IP);
      client.send(SFU_IP, port, Buffer.from('is anybody there?'));
      await expect.poll(() => errors, { interval: 5 }).toHaveLength(1);
      expect(errors).toEqual([{ peer: { family: 4, address: SFU_IP, port }, error: PORT_UNREACHABLE }]);
    },
  );

  test('learns it when it sends ChannelData too, and of an IPv6 peer', async () => {
    const relay = { address: RELAY_IP, address6: LOOPBACK6, portStart: 49_152, portEnd: 49_951 };
    const peers = [{ ip: LOOPBACK6, portStart: 20_000, portEnd: 65_535 }];
    await turn.attach({ relay, peers, generation: 2 });
    const client = await turn.client();
    const errors = errorsOf(client);
    await client.allocate({ family: 6 });
    const port = await goneFrom(LOOPBACK6);
    await client.channelBind(0x4000, LOOPBACK6, port);
    client.channelData(0x4000, Buffer.from('is anybody there?'));
    await expect.poll(() => errors, { interval: 5 }).toHaveLength(1);
    expect(errors[0]?.peer).toMatchObject({ address: LOOPBACK6, port });
    expect(errors[0]?.error).toEqual({ type: 1, code: 4, data: 0 });
  });

  test('is told ten times a second, however much it sends', async () => {
    const client = await turn.client();
    const errors = errorsOf(client);
    await client.allocate();
    const port = await goneFrom(SFU_IP);
    await client.createPermission(SFU_IP);
    const there = await turn.peer();
    /** What the peer got says that the errors before it were handled: they come off the socket first. */
    const insist = async () => {
      for (let n = 0; n < 50; n++) client.send(SFU_IP, port, Buffer.from('is anybody there?'));
      client.send(SFU_IP, there.port, Buffer.from('you are'));
      const echoed = client.nextData();
      const { port: relayPort, address } = await there.next();
      there.send(Buffer.from('I am'), relayPort, address);
      await echoed;
    };
    await insist();
    expect(errors).toHaveLength(10);
    clock.advance(999);
    await insist();
    expect(errors).toHaveLength(10);
    clock.advance(1);
    await insist();
    expect(errors).toHaveLength(20);
  });
});
