import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ATTRIBUTE, CLASS, encodeChannelData, METHOD, StunWriter } from '../stun/index.ts';
import { CLIENT_IP, PUBLIC_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start({
    unauthenticatedRate: { burst: 1_000_000, perSec: 1_000_000 },
    maxTcpConnectionsPerSource: 2000,
  });
});
afterEach(() => turn.close());

/** A small generator with a seed, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A copy with bytes changed, cut off, doubled or put in. */
function mutate(packet: Buffer, pick: (below: number) => number): Buffer {
  let result = Buffer.from(packet);
  for (let n = pick(4) + 1; n > 0; n--) {
    const at = pick(result.length + 1);
    const kind = pick(5);
    if (kind === 0 && result.length > 0) result[at % result.length] = pick(256);
    else if (kind === 1) result = result.subarray(0, at);
    else if (kind === 2)
      result = Buffer.concat([result.subarray(0, at), result.subarray(0, pick(64)), result.subarray(at)]);
    else if (kind === 3 && result.length > 3) result.writeUInt16BE(pick(65_536), 2);
    else
      result = Buffer.concat([
        result.subarray(0, at),
        Buffer.of([0, 255, 0x7f, 0x40][pick(4)] as number),
        result.subarray(at),
      ]);
  }
  return Buffer.from(result);
}

async function corpus(transport: 'udp' | 'tcp') {
  const client = await turn.client(transport);
  const peer = await turn.peer();
  await client.allocate();
  await client.channelBind(0x4000, peer.address, peer.port);
  const address = (writer: StunWriter) => writer.address(ATTRIBUTE.xorPeerAddress, SFU_IP, peer.port);
  const packets = [
    new StunWriter(METHOD.binding, CLASS.request, Buffer.alloc(12)).finish({ fingerprint: true }),
    client.buildRequest(METHOD.allocate, (writer) =>
      writer.bytes(ATTRIBUTE.requestedTransport, Buffer.from([17, 0, 0, 0])),
    ),
    client.buildRequest(METHOD.refresh, (writer) => writer.uint32(ATTRIBUTE.lifetime, 600)),
    client.buildRequest(METHOD.createPermission, address),
    client.buildRequest(METHOD.channelBind, (writer) => address(writer.uint32(ATTRIBUTE.channelNumber, 0x40010000))),
    address(new StunWriter(METHOD.send, CLASS.indication, Buffer.alloc(12)))
      .bytes(ATTRIBUTE.data, Buffer.alloc(9))
      .finish(),
    address(new StunWriter(METHOD.send, CLASS.indication, Buffer.alloc(12)))
      .bytes(ATTRIBUTE.data, Buffer.alloc(0))
      .finish(),
    encodeChannelData(0x4000, Buffer.from('hello'), true),
  ];
  return { client, peer, packets };
}

/** Bytes of the heap after a collection: other files have left something there. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

test('a thousand mutated datagrams from a client with an allocation, and from strangers, change nothing', async () => {
  const { client, peer, packets } = await corpus('udp');
  const stranger = createSocket('udp4');
  stranger.bind({ address: CLIENT_IP });
  await once(stranger, 'listening');
  const pick = random(1);
  const before = heapUsed();
  for (let n = 0; n < 1000; n++) {
    const packet = mutate(packets[n % packets.length] as Buffer, pick);
    client.sendRaw(packet);
    stranger.send(packet, turn.port, PUBLIC_IP);
    // A request that is answered keeps the server from being flooded into losing the rest.
    if (n % 50 === 49) await client.binding();
  }
  stranger.close();
  expect(await client.refresh()).toBe(600);
  while (peer.waiting > 0) await peer.next();
  client.channelData(0x4000, Buffer.from('after the storm'));
  expect((await peer.next()).data.toString()).toBe('after the storm');
  expect(turn.service.tenants.allocationCount).toBe(1);
  expect(heapUsed() - before).toBeLessThan(64 * 1024 * 1024);
});

test('a thousand mutated streams, cut anywhere, leave no connection and no allocation behind', async () => {
  const { client, packets } = await corpus('tcp');
  const pick = random(2);
  for (let n = 0; n < 1000; n += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const socket = connect({ host: PUBLIC_IP, port: turn.port, localAddress: CLIENT_IP });
        socket.on('error', () => undefined);
        socket.resume();
        const closed = once(socket, 'close');
        await Promise.race([once(socket, 'connect'), closed]);
        const stream = Buffer.concat([
          packets[pick(packets.length)] as Buffer,
          mutate(packets[(n + index) % packets.length] as Buffer, pick),
        ]);
        const cut = pick(stream.length);
        socket.write(stream.subarray(0, cut));
        socket.end(stream.subarray(cut));
        await closed;
      }),
    );
  }
  expect(await client.refresh()).toBe(600);
  const connections = async () =>
    (await (await turn.internal('/metrics')).text()).includes('turn_stream_connections{svc="turn"} 1\n');
  await expect.poll(connections).toBe(true);
  expect(turn.service.tenants.allocationCount).toBe(1);
});

test('garbage from many source ports leaves no state', async () => {
  const sockets = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = createSocket('udp4');
      socket.bind({ address: CLIENT_IP });
      await once(socket, 'listening');
      return socket;
    }),
  );
  const request = new StunWriter(METHOD.allocate, CLASS.request, Buffer.alloc(12)).bytes(
    ATTRIBUTE.requestedTransport,
    Buffer.from([17, 0, 0, 0]),
  );
  await Promise.all(
    sockets.map(async (socket) => {
      const answered = once(socket, 'message');
      socket.send(request.finish(), turn.port, PUBLIC_IP);
      await answered;
      socket.close();
    }),
  );
  expect(turn.service.tenants.allocationCount).toBe(0);
  expect(turn.ledger.leaseCount).toBe(0);
});
