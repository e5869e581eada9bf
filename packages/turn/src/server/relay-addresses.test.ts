import { VirtualClock } from '@orama/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ATTRIBUTE, METHOD } from '../stun/index.ts';
import { Peer, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

const INNER_IP = '127.81.0.7';

let turn: TurnHarness;
let clock: VirtualClock;
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({}, clock);
});
afterEach(() => turn.close());

const BLOCK = { portStart: 49_152, portEnd: 49_951 };

describe('relay.innerAddress', () => {
  beforeEach(() => turn.attach({ relay: { ...BLOCK, address: RELAY_IP, innerAddress: INNER_IP }, generation: 2 }));

  test('is what the namespace’s own peers are reached from, on the same port number', async () => {
    const client = await turn.client();
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    expect(relayed.address).toBe(RELAY_IP);
    await client.channelBind(0x4000, SFU_IP, peer.port);
    client.channelData(0x4000, Buffer.from('hello'));
    expect(await peer.next()).toMatchObject({ address: INNER_IP, port: relayed.port });
    const back = client.nextData();
    peer.send(Buffer.from('back'), relayed.port, INNER_IP);
    expect(await back).toMatchObject({ channel: 0x4000, peer: { address: SFU_IP, port: peer.port } });

    // The same peer is not heard on the public address: that must be somebody who forges its address.
    peer.send(Buffer.from('forged'), relayed.port, RELAY_IP);
    await expect.poll(() => turn.drops.noPermission).toBe(1);
  });

  test('has no socket until it is needed, and none after the allocation', async () => {
    const client = await turn.client();
    const { relayed } = await client.allocate();
    await (await Peer.open(INNER_IP, relayed.port)).close();
    await client.createPermission(RELAY_IP);
    await (await Peer.open(INNER_IP, relayed.port)).close();
    await client.createPermission(SFU_IP);
    await expect(Peer.open(INNER_IP, relayed.port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await client.refresh(0);
    await (await Peer.open(INNER_IP, relayed.port)).close();
  });

  test('is answered with 508 when another process has the port, and works once it is free', async () => {
    const client = await turn.client();
    const { relayed } = await client.allocate();
    const foreign = await Peer.open(INNER_IP, relayed.port);
    await expect(client.createPermission(SFU_IP)).rejects.toMatchObject({ code: 508 });
    await foreign.close();
    await client.createPermission(SFU_IP);
  });

  test('a repeated ChannelBind, and an ended allocation, while it is being opened leave nothing behind', async () => {
    const client = await turn.client();
    await client.allocate();
    const request = client.buildRequest(METHOD.channelBind, (writer) =>
      writer.uint32(ATTRIBUTE.channelNumber, 0x40000000).address(ATTRIBUTE.xorPeerAddress, SFU_IP, 20_000),
    );
    client.sendRaw(request);
    const answer = await client.exchange(request);
    expect(answer.errorCode).toBeUndefined();
    expect((await client.exchange(request)).buffer.equals(answer.buffer)).toBe(true);

    const late = await turn.client();
    await late.allocate();
    late.sendRaw(
      late.buildRequest(METHOD.createPermission, (writer) => writer.address(ATTRIBUTE.xorPeerAddress, SFU_IP, 0)),
    );
    await late.refresh(0);
    await client.refresh(0);
    await expect.poll(() => turn.portsBound).toBe(0);
    expect(turn.ledger.portCount).toBe(0);
  });

  test('is given up with the half whose family it is of, also while it is being opened', async () => {
    const relay = { ...BLOCK, address: RELAY_IP, address6: '::1', innerAddress: INNER_IP };
    await turn.attach({ relay, generation: 3 });
    for (let n = 0; n < 20; n++) {
      const client = await turn.client();
      const { relayed } = await client.allocate({ additionalIpv6: true });
      client.sendRaw(
        client.buildRequest(METHOD.createPermission, (writer) => writer.address(ATTRIBUTE.xorPeerAddress, SFU_IP, 0)),
      );
      await client.refresh(0, 4);
      const dropped = turn.drops.noPermission;
      client.send(SFU_IP, 20_000, Buffer.from('x'));
      await client.binding();
      expect(turn.drops.noPermission).toBe(dropped + 1);
      const isFree = () =>
        Peer.open(INNER_IP, relayed.port).then(
          (peer) => peer.close().then(() => true),
          () => false,
        );
      await expect.poll(isFree, { interval: 5 }).toBe(true);
    }
  });

  test('ends the allocations that were made without it', async () => {
    await turn.attach({ generation: 3 });
    const client = await turn.client();
    await client.allocate();
    await turn.attach({ relay: { ...BLOCK, address: RELAY_IP, innerAddress: INNER_IP }, generation: 4 });
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
  });
});

test('an allocation reaches itself, and with it nothing else on its address', async () => {
  const client = await turn.client();
  const { relayed } = await client.allocate();
  await client.channelBind(0x4000, relayed.address, relayed.port);
  const echo = client.nextData();
  client.channelData(0x4000, Buffer.from('to myself'));
  expect(await echo).toMatchObject({ data: Buffer.from('to myself'), channel: 0x4000 });
  const other = await (await turn.client()).allocate();
  await expect(client.channelBind(0x4001, relayed.address, other.relayed.port)).rejects.toMatchObject({ code: 403 });
});

describe('behind 1:1 NAT', () => {
  const EXTERNAL_IP = '127.81.9.9';
  beforeEach(async () => {
    await turn.close();
    turn = await TurnHarness.start({ external: { [RELAY_IP]: EXTERNAL_IP } }, clock);
  });

  test('clients are told the external address, and the local one is refused to them', async () => {
    const client = await turn.client();
    const { relayed } = await client.allocate();
    expect(relayed.address).toBe(EXTERNAL_IP);
    await expect(client.createPermission(RELAY_IP)).rejects.toMatchObject({ code: 403 });
    await client.createPermission(EXTERNAL_IP);
  });

  test('an allocation reaches itself, without a NAT that brings its packets back', async () => {
    const client = await turn.client();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, EXTERNAL_IP, relayed.port);
    const echo = client.nextData();
    client.channelData(0x4000, Buffer.from('to myself'));
    expect(await echo).toMatchObject({ data: Buffer.from('to myself'), channel: 0x4000 });

    const sender = await turn.client();
    const { port } = (await sender.allocate()).relayed;
    await sender.createPermission(EXTERNAL_IP);
    const indication = sender.nextData();
    sender.send(EXTERNAL_IP, port, Buffer.from('by Send'));
    expect(await indication).toMatchObject({ peer: { address: EXTERNAL_IP, port } });
  });

  test('two clients meet at their external addresses, beside a peer that shares the local one', async () => {
    const peer = await turn.peer(RELAY_IP);
    await turn.attach({
      relay: { ...BLOCK, address: RELAY_IP },
      peers: [{ ip: RELAY_IP, portStart: peer.port, portEnd: peer.port }],
      allowPublicPeers: true,
      generation: 2,
    });
    const [one, two] = [await turn.client(), await turn.client()];
    const first = (await one.allocate()).relayed;
    const second = (await two.allocate()).relayed;
    await one.createPermission(second.address, RELAY_IP);
    await two.createPermission(first.address);
    const met = two.nextData();
    one.send(second.address, second.port, Buffer.from('hello'));
    expect(await met).toMatchObject({ data: Buffer.from('hello'), peer: first });
    const back = one.nextData();
    two.send(first.address, first.port, Buffer.from('hello too'));
    expect(await back).toMatchObject({ peer: second });
    const fromPeer = one.nextData();
    peer.send(Buffer.from('from the SFU'), first.port);
    expect(await fromPeer).toMatchObject({ peer: { address: RELAY_IP, port: peer.port } });
  });
});

describe('a draining server', () => {
  const alternates = [
    { address: '2001:db8::5', port: 3478 },
    { address: '198.51.100.7', port: 3479, tlsPort: 5350 },
  ];

  test.each([
    ['udp', 3479],
    ['tcp', 3479],
    ['tls', 5350],
  ] as const)(
    'answers newcomers over %s with 508 and an alternate of their family, and keeps what it has',
    async (transport, port) => {
      await turn.attach({ alternates, domain: 'turn.ns-demo.orama.localhost', generation: 2 });
      const old = await turn.client(transport);
      await old.allocate();
      const stopped = turn.service.stop();
      const reply = await (await turn.client(transport)).allocate().catch((error: unknown) => error);
      expect(reply).toMatchObject({ code: 508, alternate: { family: 4, address: '198.51.100.7', port } });
      expect(await old.refresh()).toBe(600);
      expect(turn.ledger.leaseCount).toBe(1);
      // At the end nobody is listened to, nor kept.
      await old.refresh(0);
      await stopped;
      if (transport !== 'udp') await expect(turn.client(transport)).rejects.toThrow('ECONNREFUSED');
    },
  );

  test('names no alternate to a client over TLS that has no TLS port', async () => {
    await turn.attach({ alternates: [{ address: '198.51.100.7', port: 3479 }], generation: 2 });
    const client = await turn.client('tls');
    void turn.server.drain();
    await expect(client.allocate()).rejects.toMatchObject({ code: 508, alternate: undefined });
  });

  test('names the domain with the alternate, and neither where none is known', async () => {
    await turn.attach({ alternates, domain: 'turn.ns-demo.orama.localhost', generation: 2 });
    const client = await turn.client();
    await expect(client.refresh()).rejects.toMatchObject({ code: 437 });
    void turn.server.drain();
    const allocate = () =>
      client.exchange(
        client.buildRequest(METHOD.allocate, (writer) =>
          writer.bytes(ATTRIBUTE.requestedTransport, Buffer.from([17, 0, 0, 0])),
        ),
      );
    expect((await allocate()).text(ATTRIBUTE.alternateDomain)).toBe('turn.ns-demo.orama.localhost');
    await turn.attach({ alternates: alternates.slice(0, 1), generation: 3 });
    const reply = await allocate();
    expect(reply.errorCode).toBe(508);
    expect([reply.has(ATTRIBUTE.alternateServer), reply.has(ATTRIBUTE.alternateDomain)]).toEqual([false, false]);
  });

  test('spreads its clients over the alternates', async () => {
    await turn.attach({
      alternates: [1, 2, 3].map((n) => ({ address: `198.51.100.${n}`, port: 3478 })),
      generation: 2,
    });
    void turn.server.drain();
    const named = new Set<string | undefined>();
    for (let n = 0; n < 40 && named.size < 3; n++) {
      const error = await (await turn.client()).allocate().catch((thrown: unknown) => thrown);
      named.add((error as { alternate?: { address: string } }).alternate?.address);
    }
    expect(named.size).toBe(3);
  });
});

describe('allocationBytesPerSec', () => {
  test('drops and counts what is beyond it, both directions together, and lets later data through', async () => {
    await turn.attach({ allocationBytesPerSec: 100_000, generation: 2 });
    const client = await turn.client();
    const peer = await turn.peer();
    const { relayed } = await client.allocate();
    await client.channelBind(0x4000, SFU_IP, peer.port);
    const packet = Buffer.alloc(40_000, 7);
    client.channelData(0x4000, packet);
    await peer.next();
    const back = client.nextData();
    peer.send(packet, relayed.port);
    await back;
    client.channelData(0x4000, packet);
    peer.send(packet, relayed.port);
    await expect.poll(() => turn.drops.overByteRate).toBe(2);
    clock.advance(1_000);
    client.channelData(0x4000, packet);
    expect((await peer.next()).data.length).toBe(40_000);

    // Lifted again for the allocation that lives.
    await turn.attach({ generation: 3 });
    for (let n = 0; n < 5; n++) {
      client.channelData(0x4000, packet);
      await peer.next();
    }
    expect(turn.drops.overByteRate).toBe(2);
  });
});
