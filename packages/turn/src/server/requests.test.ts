import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FillRequest } from '../client/turn-client.ts';
import { ATTRIBUTE, METHOD } from '../stun/index.ts';
import { freePort, Peer, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

let turn: TurnHarness;
let clock: VirtualClock;
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({}, clock);
});
afterEach(() => turn.close());

describe('Allocate', () => {
  test('gives an address of the tenant’s block and the default lifetime, over UDP and TCP', async () => {
    for (const transport of ['udp', 'tcp'] as const) {
      const client = await turn.client(transport);
      const { relayed, mapped, lifetimeSec } = await client.allocate();
      expect(relayed.address).toBe(RELAY_IP);
      expect(relayed.port).toBeGreaterThanOrEqual(49_152);
      expect(relayed.port).toBeLessThanOrEqual(49_951);
      expect(mapped).toEqual({ family: 4, ...client.local });
      expect(lifetimeSec).toBe(600);
    }
  });

  test.each([
    [60, 600],
    [600, 600],
    [1200, 1200],
    [90_000, 3600],
  ])('asked for a lifetime of %i seconds grants %i', async (wanted, granted) => {
    expect((await (await turn.client()).allocate({ lifetimeSec: wanted })).lifetimeSec).toBe(granted);
  });

  const refusals: [string, number, FillRequest][] = [
    ['REQUESTED-TRANSPORT of two bytes', 400, (writer) => writer.bytes(ATTRIBUTE.requestedTransport, Buffer.alloc(2))],
    ['no REQUESTED-TRANSPORT', 400, () => undefined],
    ['TCP as relay transport', 442, transport(6)],
    ['IPv6 as relay family', 440, withBytes(ATTRIBUTE.requestedAddressFamily, 2, 0, 0, 0)],
    ['an unknown relay family', 440, withBytes(ATTRIBUTE.requestedAddressFamily, 9, 0, 0, 0)],
    ['a family of the wrong size', 400, withBytes(ATTRIBUTE.requestedAddressFamily, 1)],
    ['IPv4 as additional family', 400, withBytes(ATTRIBUTE.additionalAddressFamily, 1, 0, 0, 0)],
    ['EVEN-PORT of the wrong size', 400, withBytes(ATTRIBUTE.evenPort, 0, 0)],
    ['LIFETIME of the wrong size', 400, withBytes(ATTRIBUTE.lifetime, 1, 2)],
    ['an unknown RESERVATION-TOKEN', 508, withBytes(ATTRIBUTE.reservationToken, 1, 2, 3, 4, 5, 6, 7, 8)],
    ['a RESERVATION-TOKEN of the wrong size', 400, withBytes(ATTRIBUTE.reservationToken, 1, 2, 3)],
    [
      'EVEN-PORT and RESERVATION-TOKEN together',
      400,
      (writer) => withBytes(ATTRIBUTE.evenPort, 0)(writer.bytes(ATTRIBUTE.reservationToken, Buffer.alloc(8))),
    ],
    ['an unknown required attribute', 420, withBytes(0x7abc, 1)],
  ];
  test.each(refusals)('with %s is answered with %i', async (_what, code, fill) => {
    const client = await turn.client();
    await expect(client.request(METHOD.allocate, fill)).rejects.toMatchObject({ code });
    expect(turn.service.tenants.allocationCount).toBe(0);
    expect(turn.ledger.leaseCount).toBe(0);
    expect(turn.ledger.portCount).toBe(0);
  });

  test('420 lists the attributes that are not understood', async () => {
    const client = await turn.client();
    await client.allocate();
    const reply = await client.exchange(
      client.buildRequest(METHOD.allocate, (writer) => writer.flag(0x7abc).flag(0x7abd)),
    );
    expect(reply.errorCode).toBe(420);
    expect(reply.bytes(ATTRIBUTE.unknownAttributes)?.toString('hex')).toBe('7abc7abd');
  });

  test('with IPv6 as additional family gives IPv4 and says 440 for the other', async () => {
    const client = await turn.client();
    const reply = await client.request(METHOD.allocate, withBytes(ATTRIBUTE.additionalAddressFamily, 2, 0, 0, 0));
    expect(reply.address(ATTRIBUTE.xorRelayedAddress)?.family).toBe(4);
    expect(reply.bytes(ATTRIBUTE.addressErrorCode)?.toString('hex')).toBe(
      `02000428${Buffer.from('Address Family not Supported').toString('hex')}`,
    );
  });

  test('a second one on the same 5-tuple is answered with 437', async () => {
    const client = await turn.client();
    await client.allocate();
    await expect(client.allocate()).rejects.toMatchObject({ code: 437 });
  });

  test('a retransmitted one gets the very same answer, and one allocation is made', async () => {
    const client = await turn.client();
    await client.binding();
    await expect(client.request(METHOD.refresh)).rejects.toMatchObject({ code: 437 });
    const request = client.buildRequest(METHOD.allocate, transport(17));
    client.sendRaw(request);
    client.sendRaw(request);
    const first = await client.exchange(request);
    const second = await client.exchange(request);
    expect(first.address(ATTRIBUTE.xorRelayedAddress)).toBeDefined();
    expect(second.buffer.equals(first.buffer)).toBe(true);
    expect(turn.server.counters.allocationsOpened).toBe(1);
  });

  test.each([
    ['its secret is revoked', () => turn.attach({ secrets: ['the-secret-after-it'], generation: 2 })],
    ['the tenant is detached', () => turn.service.tenants.detach('demo')],
  ])('a retransmitted one is told nothing of an allocation that has ended because %s', async (_why, end) => {
    const client = await turn.client();
    await expect(client.request(METHOD.refresh)).rejects.toMatchObject({ code: 437 });
    const request = client.buildRequest(METHOD.allocate, transport(17));
    expect((await client.exchange(request)).errorCode).toBeUndefined();
    await end();
    expect((await client.exchange(request)).errorCode).toBe(401);
  });

  test('EVEN-PORT gives an even port, and its reservation the next one, once', async () => {
    const first = await turn.client();
    const { relayed, reservationToken } = await first.allocate({ fill: withEvenPort(0x80) });
    expect(relayed.port % 2).toBe(0);
    expect(reservationToken).toHaveLength(8);
    const redeem = {
      fill: (writer) => writer.bytes(ATTRIBUTE.reservationToken, reservationToken ?? Buffer.alloc(0)),
    } as {
      fill: FillRequest;
    };
    expect((await (await turn.client()).allocate(redeem)).relayed.port).toBe(relayed.port + 1);
    await expect((await turn.client()).allocate(redeem)).rejects.toMatchObject({ code: 508 });
    expect((await (await turn.client()).allocate({ fill: withEvenPort(0) })).relayed.port % 2).toBe(0);
  });

  test('a reservation nobody claims gives its port back after thirty seconds', async () => {
    const client = await turn.client();
    await client.allocate({ fill: withEvenPort(0x80) });
    expect(turn.ledger.portCount).toBe(2);
    clock.advance(31_000);
    expect(turn.ledger.portCount).toBe(1);
  });

  test('beyond the tenant’s or the username’s quota is answered with 486, until one ends', async () => {
    await turn.attach({ maxAllocations: 2, maxAllocationsPerUsername: 1, generation: 2 });
    const credentials = [turn.credentials('demo', 601), turn.credentials('demo', 602), turn.credentials('demo', 603)];
    const clients = await Promise.all(credentials.map((one) => turn.client('udp', one)));
    await clients[0]?.allocate();
    const sameUser = await turn.client('udp', credentials[0]);
    await expect(sameUser.allocate()).rejects.toMatchObject({ code: 486 });
    await clients[1]?.allocate();
    await expect(clients[2]?.allocate()).rejects.toMatchObject({ code: 486 });
    await clients[0]?.refresh(0);
    await clients[2]?.allocate();
  });

  test('beyond the relay block is answered with 508, and another process on a port is gone round', async () => {
    const start = await freePort(RELAY_IP);
    const foreign = await Peer.open(RELAY_IP, start);
    await turn.attach({ relay: { address: RELAY_IP, portStart: start, portEnd: start + 1 }, generation: 2 });
    const client = await turn.client();
    expect((await client.allocate()).relayed.port).toBe(start + 1);
    const late = await turn.client();
    await expect(late.allocate()).rejects.toMatchObject({ code: 508 });
    await foreign.close();
    expect((await late.allocate()).relayed.port).toBe(start);
  });

  test('with a relay address that is not of this machine is answered with 508', async () => {
    await turn.attach({ relay: { address: '203.0.113.7', portStart: 50_000, portEnd: 50_010 }, generation: 2 });
    await expect((await turn.client()).allocate()).rejects.toMatchObject({ code: 508 });
    expect(turn.ledger.leaseCount).toBe(0);
  });
});

describe('Refresh', () => {
  test('0 ends the allocation: its port can be bound again, and the next request is answered with 437', async () => {
    const client = await turn.client();
    const { relayed } = await client.allocate();
    expect(await client.refresh(0)).toBe(0);
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
    const again = await Peer.open(RELAY_IP, relayed.port);
    await again.close();
    expect(turn.ledger.portCount).toBe(0);
    await client.allocate();
  });

  test('without an allocation, CreatePermission and ChannelBind too, is answered with 437', async () => {
    const client = await turn.client();
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
    await expect(client.createPermission(SFU_IP)).rejects.toMatchObject({ code: 437 });
    await expect(client.channelBind(0x4000, SFU_IP, 20_000)).rejects.toMatchObject({ code: 437 });
  });

  test('an allocation that is not refreshed ends after its lifetime', async () => {
    const client = await turn.client();
    await client.allocate();
    clock.advance(599_000);
    expect(turn.service.tenants.allocationCount).toBe(1);
    clock.advance(2_000);
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
    await expect.poll(() => turn.portsBound).toBe(0);
  });

  test('twelve minutes and more of refreshes keep the call relaying, both ways', async () => {
    const client = await turn.client();
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);
    for (let minute = 1; minute <= 30; minute++) {
      clock.advance(60_000);
      if (minute % 4 === 0) {
        expect(await client.refresh()).toBe(600);
        await client.channelBind(0x4000, peer.address, peer.port);
      }
      client.channelData(0x4000, Buffer.from(`minute ${minute}`));
      expect((await peer.next()).data.toString()).toBe(`minute ${minute}`);
      const back = client.nextData();
      peer.send(Buffer.from([minute]), relayed.port);
      expect(await back).toMatchObject({ data: Buffer.from([minute]), channel: 0x4000 });
    }
  });
});

describe('CreatePermission and ChannelBind', () => {
  test.each([
    '127.0.0.1',
    '169.254.169.254',
    '10.0.0.3',
    '192.168.1.1',
    '100.64.1.1',
    '224.0.0.1',
    '192.0.2.1',
    '8.8.8.8',
    '127.81.1.1',
  ])('for the peer %s are answered with 403', async (address) => {
    const client = await turn.client();
    await client.allocate();
    await expect(client.createPermission(address)).rejects.toMatchObject({ code: 403 });
    await expect(client.createPermission(SFU_IP, address)).rejects.toMatchObject({ code: 403 });
    await expect(client.channelBind(0x4000, address, 20_000)).rejects.toMatchObject({ code: 403 });
    // None of the addresses of a refused request is permitted.
    const drops = turn.drops.noPermission;
    client.send(SFU_IP, 20_000, Buffer.from('x'));
    await client.binding();
    expect(turn.drops.noPermission).toBe(drops + 1);
  });

  test.each(['::1', '::ffff:127.0.0.1', `::ffff:${SFU_IP}`, '2606:4700:4700::1111'])(
    'for the peer %s on an IPv4 allocation are answered with 443',
    async (address) => {
      const client = await turn.client();
      await client.allocate();
      await expect(client.createPermission(address)).rejects.toMatchObject({ code: 443 });
      await expect(client.createPermission(SFU_IP, address)).rejects.toMatchObject({ code: 443 });
      await expect(client.channelBind(0x4000, address, 20_000)).rejects.toMatchObject({ code: 443 });
    },
  );

  test('ChannelBind outside the allowed ports is answered with 403, and Send there is dropped and counted', async () => {
    const peer = await turn.peer();
    await turn.attach({ peers: [{ ip: SFU_IP, portStart: peer.port, portEnd: peer.port }], generation: 2 });
    const stranger = await turn.peer();
    const client = await turn.client();
    const { relayed } = await client.allocate();
    await expect(client.channelBind(0x4000, SFU_IP, stranger.port)).rejects.toMatchObject({ code: 403 });
    await client.createPermission(SFU_IP);

    client.send(SFU_IP, stranger.port, Buffer.from('not for you'));
    client.send(SFU_IP, peer.port, Buffer.from('for you'));
    expect((await peer.next()).data.toString()).toBe('for you');
    expect(stranger.waiting).toBe(0);
    expect(turn.drops.peerPortRefused).toBe(1);

    const next = client.nextData();
    stranger.send(Buffer.from('not from you'), relayed.port);
    peer.send(Buffer.from('from you'), relayed.port);
    expect((await next).data.toString()).toBe('from you');
    expect(turn.drops.peerPortRefused).toBe(2);
  });

  test('a permission ends after five minutes, a channel after ten', async () => {
    const client = await turn.client();
    const peer = await turn.peer();
    const { relayed } = await client.allocate({ lifetimeSec: 3600 });
    await client.channelBind(0x4000, peer.address, peer.port);
    clock.advance(299_000);
    client.channelData(0x4000, Buffer.from('1'));
    await peer.next();
    clock.advance(2_000);
    client.channelData(0x4000, Buffer.from('2'));
    client.send(peer.address, peer.port, Buffer.from('3'));
    peer.send(Buffer.from('4'), relayed.port);
    await expect.poll(() => turn.drops.noPermission).toBe(3);

    await client.createPermission(peer.address);
    client.channelData(0x4000, Buffer.from('5'));
    expect((await peer.next()).data.toString()).toBe('5');
    clock.advance(299_000);
    await client.createPermission(peer.address);
    clock.advance(2_000);
    client.channelData(0x4000, Buffer.from('6'));
    await expect.poll(() => turn.drops.unboundChannel).toBe(1);
    const data = client.nextData();
    peer.send(Buffer.from('7'), relayed.port);
    expect(await data).toMatchObject({ channel: undefined, data: Buffer.from('7') });
  });

  test('a channel has one peer and a peer has one channel; binding again refreshes', async () => {
    const client = await turn.client();
    await client.allocate();
    await client.channelBind(0x4000, SFU_IP, 20_000);
    await client.channelBind(0x4000, SFU_IP, 20_000);
    await expect(client.channelBind(0x4000, SFU_IP, 20_001)).rejects.toMatchObject({ code: 400 });
    await expect(client.channelBind(0x4001, SFU_IP, 20_000)).rejects.toMatchObject({ code: 400 });
    await client.channelBind(0x4001, SFU_IP, 20_001);
  });

  test.each([0x0000, 0x3fff, 0x7fff, 0x8000, 0xffff])(
    'ChannelBind of the number %i is answered with 400',
    async (channel) => {
      const client = await turn.client();
      await client.allocate();
      await expect(client.channelBind(channel, SFU_IP, 20_000)).rejects.toMatchObject({ code: 400 });
    },
  );

  test('without an address, with a malformed one, or with port 0 are answered with 400', async () => {
    const client = await turn.client();
    await client.allocate();
    await expect(client.createPermission()).rejects.toMatchObject({ code: 400 });
    const malformed: FillRequest = (writer) =>
      writer.bytes(ATTRIBUTE.xorPeerAddress, Buffer.from([0, 9, 0, 0, 1, 2, 3, 4]));
    await expect(client.request(METHOD.createPermission, malformed)).rejects.toMatchObject({ code: 400 });
    await expect(client.request(METHOD.channelBind, malformed)).rejects.toMatchObject({ code: 400 });
    await expect(client.channelBind(0x4000, SFU_IP, 0)).rejects.toMatchObject({ code: 400 });
  });

  test('more permissions than an allocation may hold are answered with 508', async () => {
    const peers = Array.from({ length: 260 }, (_, n) => ({
      ip: `127.81.4.${n % 256}`,
      portStart: 20_000 + n,
      portEnd: 20_000 + n,
    }));
    await turn.attach({ peers: [...peers, { ip: '127.81.5.1', portStart: 1, portEnd: 2 }], generation: 2 });
    const client = await turn.client();
    await client.allocate();
    for (let n = 0; n < 256; n += 16) {
      await client.createPermission(...Array.from({ length: 16 }, (_, i) => `127.81.4.${n + i}`));
    }
    await client.createPermission('127.81.4.1');
    await expect(client.createPermission('127.81.5.1')).rejects.toMatchObject({ code: 508 });
  });
});

describe('data', () => {
  test('a one-byte packet from a peer, and one that looks like ChannelData, arrive whole', async () => {
    const client = await turn.client();
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.createPermission(peer.address);
    for (const data of [
      Buffer.from([0]),
      Buffer.from([0x40]),
      Buffer.from('@@@@@@@@'),
      Buffer.alloc(0),
      Buffer.alloc(1400, 0x7f),
    ]) {
      const next = client.nextData();
      peer.send(data, relayed.port);
      expect((await next).data).toEqual(data);
    }
  });

  test('from a peer without permission is dropped and counted', async () => {
    const client = await turn.client();
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    peer.send(Buffer.from('knock'), relayed.port);
    await expect.poll(() => turn.drops.noPermission).toBe(1);
  });

  test('on a channel of another client is dropped', async () => {
    const [one, two] = [await turn.client(), await turn.client()];
    const peer = await turn.peer();
    await one.allocate();
    await two.allocate();
    await one.channelBind(0x4000, peer.address, peer.port);
    two.channelData(0x4000, Buffer.from('mine?'));
    await expect.poll(() => turn.drops.unboundChannel).toBe(1);
    expect(peer.waiting).toBe(0);
  });

  test('of a thousand packets each way arrives in order, nothing lost, over TCP', async () => {
    const client = await turn.client('tcp');
    const peer = await turn.peer();
    await client.allocate();
    await client.channelBind(0x4000, peer.address, peer.port);
    for (let n = 0; n < 1000; n++) {
      const data = Buffer.alloc(50 + (n % 900), n);
      data.writeUInt16BE(n);
      client.channelData(0x4000, data);
      if (n % 20 === 19) for (let m = n - 19; m <= n; m++) expect((await peer.next()).data.readUInt16BE()).toBe(m);
    }
  });
});

function transport(protocol: number): FillRequest {
  return (writer) => writer.bytes(ATTRIBUTE.requestedTransport, Buffer.from([protocol, 0, 0, 0]));
}

function withBytes(type: number, ...bytes: number[]): FillRequest {
  return (writer) => transport(17)(writer.bytes(type, Buffer.from(bytes)));
}

function withEvenPort(flags: number): FillRequest {
  return (writer) => writer.bytes(ATTRIBUTE.evenPort, Buffer.from([flags]));
}
