import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TurnHarness } from './testing/harness.ts';

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start();
});
afterEach(() => turn.close());

describe.each(['udp', 'tcp'] as const)('over %s', (transport) => {
  test('Binding tells a client its own address without credentials', async () => {
    const client = await turn.client(transport);
    expect(await client.binding()).toEqual({ family: 4, ...client.local });
  });

  test('Send reaches the peer and Data brings its answer back', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.createPermission(peer.address);

    client.send(peer.address, peer.port, Buffer.from('to the peer'));
    const arrived = await peer.next();
    expect(arrived).toEqual({ data: Buffer.from('to the peer'), address: relayed.address, port: relayed.port });

    const answer = client.nextData();
    peer.send(Buffer.from('and back'), relayed.port);
    expect(await answer).toEqual({
      data: Buffer.from('and back'),
      channel: undefined,
      peer: { family: 4, address: peer.address, port: peer.port },
    });
  });

  test('ChannelData goes both ways once a channel is bound', async () => {
    const client = await turn.client(transport);
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);

    for (const size of [0, 1, 2, 3, 4, 5, 160, 1200, 1400]) {
      const payload = Buffer.alloc(size, size);
      client.channelData(0x4000, payload);
      expect((await peer.next()).data).toEqual(payload);
      const answer = client.nextData();
      peer.send(payload, relayed.port);
      expect(await answer).toMatchObject({ data: payload, channel: 0x4000 });
    }
  });
});
