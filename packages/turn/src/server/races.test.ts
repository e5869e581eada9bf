import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TurnClient } from '../client/turn-client.ts';
import { type Peer, RELAY_IP, TurnHarness } from '../testing/harness.ts';
import { HeldSockets } from '../testing/held-sockets.ts';

const OTHER_RELAY_IP = '127.81.0.9';
const INNER_IP = '127.81.0.5';
const BLOCK = { portStart: 49_152, portEnd: 49_951 };
const RELAY_WITH_INNER = { address: RELAY_IP, address6: '::1', innerAddress: INNER_IP, ...BLOCK };

let turn: TurnHarness;
let sockets: HeldSockets;
beforeEach(async () => {
  turn = await TurnHarness.start({}, undefined, undefined, (drops, bugs) => {
    sockets = new HeldSockets(drops, bugs);
    return sockets;
  });
});
afterEach(() => turn.close());

/** The code that a request is refused with; undefined when it succeeds. */
const codeOf = (request: Promise<unknown>): Promise<unknown> =>
  request.then(
    () => undefined,
    (thrown) => thrown.code,
  );

/** Begins a request, and does `meanwhile` while the socket that it needs is being opened. The code of its answer. */
async function duringOpen(request: () => Promise<unknown>, meanwhile: () => unknown): Promise<unknown> {
  const reached = sockets.opening.hold();
  const code = codeOf(request());
  await reached;
  await meanwhile();
  sockets.opening.release();
  return code;
}

/** Sends a Refresh to zero; resolves when the server has read it, with its answer to come. */
async function ending(client: TurnClient, family?: 4): Promise<{ answer: Promise<number> }> {
  const answer = client.refresh(0, family);
  await client.binding();
  return { answer };
}

describe('while the relay socket of an Allocate is being opened', () => {
  const nothingLeft = () => expect.poll(() => [turn.ledger.leaseCount, turn.portsBound]).toEqual([0, 0]);

  test('the client goes: there is no allocation', async () => {
    const client = await turn.client('tcp');
    await duringOpen(
      () => client.allocate(),
      async () => {
        await client.close();
        await expect.poll(async () => (await turn.service.reports())[0]?.streamConnections).toBe(0);
      },
    );
    await nothingLeft();
  });

  test.each([
    ['its ports', { address: RELAY_IP, portStart: 50_000, portEnd: 50_009 }],
    ['its address', { address: OTHER_RELAY_IP, ...BLOCK }],
  ])('the relay block of the tenant gets other than %s: 508', async (_what, relay) => {
    const client = await turn.client();
    expect(
      await duringOpen(
        () => client.allocate(),
        () => turn.attach({ relay, generation: 2 }),
      ),
    ).toBe(508);
    await nothingLeft();
  });

  test('the server begins to drain: 508', async () => {
    const [client, other] = [await turn.client(), await turn.client()];
    await other.allocate();
    expect(
      await duringOpen(
        () => client.allocate(),
        () => turn.service.drain(60_000),
      ),
    ).toBe(508);
    await expect.poll(() => [turn.ledger.leaseCount, turn.portsBound]).toEqual([1, 1]);
  });

  test('the tenant is detached: 403, and the detachment ends when the socket is closed', async () => {
    const client = await turn.client();
    const { ledger } = turn;
    let left: Promise<number[]> | undefined;
    const code = await duringOpen(
      () => client.allocate(),
      async () => {
        left = turn.service.tenants.detach('demo').then(() => [ledger.leaseCount, turn.portsBound]);
        expect(await codeOf((await turn.client()).allocate())).toBe(401);
      },
    );
    expect(code).toBe(403);
    expect(await left).toEqual([0, 0]);
  });

  test('its secret is revoked: 403', async () => {
    const client = await turn.client();
    const revoke = () => turn.attach({ secrets: ['the-secret-after-it'], generation: 2 });
    expect(await duringOpen(() => client.allocate(), revoke)).toBe(403);
    await nothingLeft();
  });

  test('its client asks for another: 437', async () => {
    const client = await turn.client();
    let second: unknown;
    await duringOpen(
      () => client.allocate(),
      async () => {
        second = await codeOf(client.allocate());
      },
    );
    expect([second, turn.ledger.leaseCount]).toEqual([437, 1]);
  });
});

describe.each([
  ['CreatePermission', (client: TurnClient, peer: Peer) => client.createPermission(peer.address)],
  ['ChannelBind', (client: TurnClient, peer: Peer) => client.channelBind(0x4000, peer.address, peer.port)],
])('while the socket that a peer is reached from is being opened for a %s', (_method, request) => {
  let client: TurnClient;
  let peer: Peer;
  let port: number;
  beforeEach(async () => {
    await turn.attach({ relay: RELAY_WITH_INNER, generation: 2 });
    client = await turn.client();
    peer = await turn.peer();
    ({ port } = (await client.allocate({ additionalIpv6: true })).relayed);
  });

  test('the policy changes: 508, and the peer is not reached', async () => {
    const changed = () => turn.attach({ relay: RELAY_WITH_INNER, peers: [], generation: 3 });
    expect(await duringOpen(() => request(client, peer), changed)).toBe(508);
    client.send(peer.address, peer.port, Buffer.from('to nobody'));
    await client.binding();
    expect(turn.drops.noPermission).toBe(1);
  });

  test('the allocation ends: 437', async () => {
    let end: Awaited<ReturnType<typeof ending>> | undefined;
    const code = await duringOpen(
      () => request(client, peer),
      async () => {
        end = await ending(client);
      },
    );
    expect([code, await end?.answer, turn.portsBound]).toEqual([437, 0, 0]);
  });

  test('its half of that family ends: 443, and the socket is closed again', async () => {
    expect(
      await duringOpen(
        () => request(client, peer),
        () => ending(client, 4),
      ),
    ).toBe(443);
    expect((await turn.peer(INNER_IP, port)).port).toBe(port);
  });
});

test('two ChannelBinds that wait for one socket do not get one channel for two peers: 400', async () => {
  await turn.attach({ relay: RELAY_WITH_INNER, generation: 2 });
  const client = await turn.client();
  const [first, second] = [await turn.peer(), await turn.peer()];
  await client.allocate();
  let later: Promise<unknown> | undefined;
  const code = await duringOpen(
    () => client.channelBind(0x4000, first.address, first.port),
    async () => {
      later = codeOf(client.channelBind(0x4000, second.address, second.port));
      await client.binding();
    },
  );
  expect([code, await later]).toEqual([undefined, 400]);
  client.channelData(0x4000, Buffer.from('whose'));
  expect((await first.next()).data.toString()).toBe('whose');
});

test('a Refresh to zero is answered when others can have the port', async () => {
  const client = await turn.client();
  await client.allocate();
  const reached = sockets.closing.hold();
  let answered = false;
  const answer = client.refresh(0).finally(() => {
    answered = true;
  });
  await reached;
  await client.binding();
  expect([answered, turn.ledger.leaseCount]).toEqual([false, 1]);
  sockets.closing.release();
  expect([await answer, turn.ledger.leaseCount]).toEqual([0, 0]);
});
