import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TurnClientOptions } from '../client/turn-client.ts';
import { ATTRIBUTE, addressFamily, METHOD } from '../stun/index.ts';
import { Peer, PUBLIC_IP, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

const LOOPBACK6 = '::1';
const DUAL = { address: RELAY_IP, address6: LOOPBACK6, portStart: 49_152, portEnd: 49_951 };
const PEERS = [SFU_IP, LOOPBACK6].map((ip) => ({ ip, portStart: 20_000, portEnd: 65_535 }));

let turn: TurnHarness;
let clock: VirtualClock;
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({ listen: [PUBLIC_IP, LOOPBACK6] }, clock);
  await turn.attach({ relay: DUAL, peers: PEERS, generation: 2 });
});
afterEach(() => turn.close());

/** Options of a client that speaks to the server over IPv6. */
const overIpv6 = (): Partial<TurnClientOptions> => ({
  server: { address: LOOPBACK6, port: turn.port },
  localAddress: LOOPBACK6,
});

describe('an IPv6 relay address', () => {
  test.each(['udp', 'tcp'] as const)('is given to a client over IPv6 %s, and relays both ways', async (transport) => {
    const client = await turn.client(transport, overIpv6());
    const { relayed, mapped } = await client.allocate({ family: 6 });
    expect(relayed).toMatchObject({ family: 6, address: LOOPBACK6 });
    expect(mapped).toEqual({ family: 6, ...client.local });

    const peer = await turn.peer(LOOPBACK6);
    await client.createPermission(LOOPBACK6);
    client.send(LOOPBACK6, peer.port, Buffer.from('by Send'));
    expect(await peer.next()).toMatchObject({ data: Buffer.from('by Send'), port: relayed.port });
    const indication = client.nextData();
    peer.send(Buffer.from('by Data'), relayed.port, LOOPBACK6);
    expect(await indication).toEqual({
      data: Buffer.from('by Data'),
      channel: undefined,
      peer: { family: 6, address: LOOPBACK6, port: peer.port },
    });

    await client.channelBind(0x4000, LOOPBACK6, peer.port);
    client.channelData(0x4000, Buffer.from('by channel'));
    expect((await peer.next()).data.toString()).toBe('by channel');
    const onChannel = client.nextData();
    peer.send(Buffer.from('back'), relayed.port, LOOPBACK6);
    expect(await onChannel).toMatchObject({ data: Buffer.from('back'), channel: 0x4000 });
  });

  test.each(['udp', 'tcp'] as const)(
    'takes what fits no Data indication from no peer, for a client over %s',
    async (transport) => {
      const client = await turn.client(transport, overIpv6());
      const { relayed } = await client.allocate({ family: 6 });
      const peer = await turn.peer(LOOPBACK6);
      await client.createPermission(LOOPBACK6);
      peer.send(Buffer.alloc(65_505), relayed.port, LOOPBACK6);
      peer.send(Buffer.alloc(65_527), relayed.port, LOOPBACK6);
      const next = client.nextData();
      peer.send(Buffer.from('small'), relayed.port, LOOPBACK6);
      expect((await next).data.toString()).toBe('small');
      expect(turn.drops.tooLarge).toBe(2);
    },
  );

  test('is given to a client over IPv4 too, and an IPv4 one to a client over IPv6', async () => {
    expect((await (await turn.client()).allocate({ family: 6 })).relayed.family).toBe(6);
    expect((await (await turn.client('udp', overIpv6())).allocate()).relayed.family).toBe(4);
  });

  test.each([SFU_IP, RELAY_IP])('does not reach the IPv4 peer %s: 443', async (address) => {
    const client = await turn.client();
    await client.allocate({ family: 6 });
    await expect(client.createPermission(address)).rejects.toMatchObject({ code: 443 });
    await expect(client.createPermission(LOOPBACK6, address)).rejects.toMatchObject({ code: 443 });
    await expect(client.channelBind(0x4000, address, 20_000)).rejects.toMatchObject({ code: 443 });
  });

  test.each([
    ['::ffff:127.0.0.1', 403],
    ['::ffff:10.0.0.3', 403],
    [`::ffff:${SFU_IP}`, 443],
    ['fe80::1', 403],
    ['64:ff9b::7f00:1', 403],
    ['2606:4700:4700::1111', 403],
  ])('and the peer %s: %i', async (address, code) => {
    const client = await turn.client();
    await client.allocate({ family: 6 });
    await expect(client.createPermission(address)).rejects.toMatchObject({ code });
    await expect(client.channelBind(0x4000, address, 20_000)).rejects.toMatchObject({ code });
    const drops = turn.drops.noPermission;
    client.send(address, 20_000, Buffer.from('x'));
    await client.binding();
    expect(turn.drops.noPermission).toBe(drops + 1);
  });

  test('is refused with 440 where the tenant has none', async () => {
    await turn.attach({ generation: 3 });
    await expect((await turn.client()).allocate({ family: 6 })).rejects.toMatchObject({ code: 440 });
  });

  test('EVEN-PORT reserves the next port on the same family', async () => {
    const { relayed, reservationToken } = await (await turn.client()).allocate({ family: 6, evenPort: 'reserve' });
    const next = await (await turn.client()).allocate({ reservationToken: reservationToken ?? Buffer.alloc(0) });
    expect(next.relayed).toEqual({ family: 6, address: LOOPBACK6, port: relayed.port + 1 });
  });
});

describe('a dual allocation', () => {
  test('has two relayed addresses, reaches peers of both families and costs one place of the quota', async () => {
    const client = await turn.client();
    const { allRelayed } = await client.allocate({ additionalIpv6: true });
    expect(allRelayed.map(({ family }) => family)).toEqual([4, 6]);
    expect(turn.ledger.leaseCount).toBe(1);
    const [ipv4, ipv6] = [await turn.peer(), await turn.peer(LOOPBACK6)];
    await client.createPermission(ipv4.address, ipv6.address);
    await client.channelBind(0x4001, ipv6.address, ipv6.port);
    client.send(ipv4.address, ipv4.port, Buffer.from('to IPv4'));
    client.channelData(0x4001, Buffer.from('to IPv6'));
    expect(await ipv4.next()).toMatchObject({ address: RELAY_IP, port: allRelayed[0]?.port });
    expect(await ipv6.next()).toMatchObject({ address: LOOPBACK6, port: allRelayed[1]?.port });
    const back = client.nextData();
    ipv6.send(Buffer.from('back'), allRelayed[1]?.port ?? 0, LOOPBACK6);
    expect(await back).toMatchObject({ channel: 0x4001 });
  });

  test('is given to coturn’s clients too, which write the attribute’s number of before RFC 8656', async () => {
    const client = await turn.client();
    const { allRelayed } = await client.allocate({
      fill: (writer) => writer.bytes(ATTRIBUTE.additionalAddressFamilyDraft, addressFamily(6)),
    });
    expect(allRelayed.map(({ family }) => family)).toEqual([4, 6]);
  });

  test('says 440 for IPv6 where the tenant has none, and gives IPv4', async () => {
    await turn.attach({ generation: 3 });
    const client = await turn.client();
    const reply = await client.request(METHOD.allocate, (writer) =>
      writer
        .bytes(ATTRIBUTE.requestedTransport, Buffer.from([17, 0, 0, 0]))
        .bytes(ATTRIBUTE.additionalAddressFamily, addressFamily(6)),
    );
    expect(reply.addresses(ATTRIBUTE.xorRelayedAddress)).toHaveLength(1);
    expect(reply.bytes(ATTRIBUTE.addressErrorCode)?.subarray(0, 4).toString('hex')).toBe('02000428');
  });

  test.each([
    ['the IPv6 port', LOOPBACK6, 0x02, 4],
    ['the IPv4 port', RELAY_IP, 0x01, 6],
  ])('says 508 for %s when another process has it, and gives the other', async (_what, address, missing, family) => {
    const foreign = await Peer.open(address, 49_300);
    await turn.attach({ relay: { ...DUAL, portStart: 49_300, portEnd: 49_300 }, peers: PEERS, generation: 3 });
    const client = await turn.client();
    const reply = await client.request(METHOD.allocate, (writer) =>
      writer
        .bytes(ATTRIBUTE.requestedTransport, Buffer.from([17, 0, 0, 0]))
        .bytes(ATTRIBUTE.additionalAddressFamily, addressFamily(6)),
    );
    expect(reply.addresses(ATTRIBUTE.xorRelayedAddress)).toMatchObject([{ family, port: 49_300 }]);
    expect(reply.bytes(ATTRIBUTE.addressErrorCode)?.subarray(0, 4)).toEqual(Buffer.from([missing, 0, 5, 8]));
    await foreign.close();
  });

  test('loses one half by Refresh with 0 and its family: permissions and channels of that half end', async () => {
    const client = await turn.client();
    const { allRelayed } = await client.allocate({ additionalIpv6: true });
    const [ipv4, ipv6] = [await turn.peer(), await turn.peer(LOOPBACK6)];
    await client.channelBind(0x4000, ipv4.address, ipv4.port);
    await client.channelBind(0x4001, ipv6.address, ipv6.port);
    expect(await client.refresh(0, 6)).toBe(0);

    client.channelData(0x4001, Buffer.from('lost'));
    await expect.poll(() => turn.drops.unboundChannel).toBe(1);
    await expect(client.createPermission(LOOPBACK6)).rejects.toMatchObject({ code: 443 });
    await expect(client.refresh(600, 6)).rejects.toMatchObject({ code: 443 });
    const again = await Peer.open(LOOPBACK6, allRelayed[1]?.port ?? 0);
    await again.close();
    client.channelData(0x4000, Buffer.from('still here'));
    expect((await ipv4.next()).data.toString()).toBe('still here');

    expect(await client.refresh(0, 4)).toBe(0);
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
    await expect.poll(() => turn.ledger.leaseCount).toBe(0);
  });

  test('keeps the half that is refreshed and loses the other', async () => {
    const client = await turn.client();
    await client.allocate({ additionalIpv6: true });
    clock.advance(599_000);
    await client.refresh(600, 6);
    clock.advance(2_000);
    await expect(client.refresh(600, 4)).rejects.toMatchObject({ code: 443 });
    expect(await client.refresh(600, 6)).toBe(600);
    clock.advance(601_000);
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
  });

  test('ends when one of its relay addresses is taken from the tenant', async () => {
    const client = await turn.client();
    await client.allocate({ additionalIpv6: true });
    await turn.attach({ generation: 3 });
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
  });

  test.each([
    ['REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY', { family: 4, additionalIpv6: true }],
    ['ADDITIONAL-ADDRESS-FAMILY and the reservation of a port', { additionalIpv6: true, evenPort: 'reserve' }],
    ['ADDITIONAL-ADDRESS-FAMILY and RESERVATION-TOKEN', { additionalIpv6: true, reservationToken: Buffer.alloc(8) }],
    ['REQUESTED-ADDRESS-FAMILY and RESERVATION-TOKEN', { family: 4, reservationToken: Buffer.alloc(8) }],
  ] as const)('is not asked for with %s: 400', async (_what, options) => {
    await expect((await turn.client()).allocate(options)).rejects.toMatchObject({ code: 400 });
    expect(turn.ledger.portCount).toBe(0);
  });

  test('Refresh with a malformed family is answered with 400, with an unknown one with 443', async () => {
    const client = await turn.client();
    await client.allocate();
    const refresh = (...family: number[]) =>
      client.request(METHOD.refresh, (writer) => writer.bytes(ATTRIBUTE.requestedAddressFamily, Buffer.from(family)));
    await expect(refresh(1)).rejects.toMatchObject({ code: 400 });
    await expect(refresh(9, 0, 0, 0)).rejects.toMatchObject({ code: 443 });
    await expect(refresh(2, 0, 0, 0)).rejects.toMatchObject({ code: 443 });
  });
});
