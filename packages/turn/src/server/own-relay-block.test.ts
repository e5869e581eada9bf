import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TurnClient } from '../client/turn-client.ts';
import { type Peer, PUBLIC_IP, TurnHarness } from '../testing/harness.ts';

/** Where clients are served and relayed from: as with the peer policy `public`. */
const ADDRESS = PUBLIC_IP;
const BLOCK = { address: ADDRESS, portStart: 49_152, portEnd: 49_951 };

let turn: TurnHarness;
beforeEach(async () => {
  turn = await TurnHarness.start({ workers: 2 });
  await turn.attach({ relay: BLOCK, peers: [], allowPublicPeers: true, generation: 2 });
});
afterEach(() => turn.close());

/** A client with an allocation that permits the others of its namespace. */
async function meeting(): Promise<{ client: TurnClient; port: number }> {
  const client = await turn.client();
  const { port } = (await client.allocate()).relayed;
  await client.createPermission(ADDRESS);
  return { client, port };
}

/** A program of somebody else on a port of the block, which no client of ours has. */
async function foreign(): Promise<Peer> {
  for (let port = BLOCK.portEnd; ; port--) {
    const opened = await turn.peer(ADDRESS, port).catch(() => undefined);
    if (opened !== undefined) return opened;
  }
}

/** Whether the server lets something through to a peer, by Send indication and by ChannelBind. */
async function reaches({ client }: { client: TurnClient }, port: number): Promise<boolean[]> {
  const bound = await client.channelBind(0x4000 + (port % 1000), ADDRESS, port).then(
    () => true,
    (thrown) => {
      expect(thrown).toMatchObject({ code: 403 });
      return false;
    },
  );
  const refused = async () =>
    (await turn.service.reports()).reduce((sum, { drops }) => sum + (drops.peerPortRefused as number), 0);
  const before = await refused();
  client.send(ADDRESS, port, Buffer.from('a Send'));
  await client.binding();
  return [bound, (await refused()) === before];
}

const explain = (port?: number) => turn.service.tenants.explainPeer('demo', ADDRESS, port);

test('clients of one namespace meet at their relayed addresses, also on two workers', async () => {
  const all = await Promise.all(Array.from({ length: 12 }, meeting));
  for (const { allocations } of await turn.service.reports()) expect(allocations).toBeGreaterThan(0);
  for (const [index, { client }] of all.entries()) {
    const other = all[(index + 1) % all.length] as (typeof all)[0];
    const came = other.client.nextData();
    await client.channelBind(0x4fff, ADDRESS, other.port);
    client.channelData(0x4fff, Buffer.from(`from ${index}`));
    expect((await came).data.toString()).toBe(`from ${index}`);
  }
});

test('a port of the block that another program has is not reached, and is not heard', async () => {
  const one = await meeting();
  const other = await foreign();
  expect(await reaches(one, other.port)).toEqual([false, false]);
  other.send(Buffer.from('from outside'), one.port, ADDRESS);
  await expect.poll(async () => (await turn.service.reports()).map(({ drops }) => drops.peerPortRefused)).toContain(2);
  expect(other.waiting).toBe(0);
});

test('nor is a port that a client had, once it has ended, by a channel bound before that either', async () => {
  const [one, two] = [await meeting(), await meeting()];
  expect(await reaches(one, two.port)).toEqual([true, true]);
  expect(explain(two.port)).toMatchObject({ allowed: true, rule: 'own-relay-block' });
  await two.client.refresh(0);
  const taker = await turn.peer(ADDRESS, two.port);
  expect(await reaches(one, two.port)).toEqual([false, false]);
  one.client.channelData(0x4000 + (two.port % 1000), Buffer.from('by the old channel'));
  await one.client.binding();
  expect(taker.waiting).toBe(0);
});

test('nor is the server itself, when its port lies in the block', async () => {
  await turn.attach({
    relay: { address: ADDRESS, portStart: 1024, portEnd: 65_535 },
    peers: [],
    allowPublicPeers: true,
    generation: 3,
  });
  expect(await reaches(await meeting(), turn.port)).toEqual([false, false]);
});

test('explainPeer names the ports that clients have now, and what is wrong with the others', async () => {
  expect(explain()).toEqual({ allowed: true, rule: 'own-relay-block', ports: [] });
  const { port } = await meeting();
  expect(explain()).toEqual({ allowed: true, rule: 'own-relay-block', ports: [{ start: port, end: port }] });
  const free = port === BLOCK.portEnd ? port - 1 : port + 1;
  const unbound = { allowed: false, rule: 'unbound-relay-port' };
  expect(explain(free)).toEqual({ ...unbound, ports: [{ start: port, end: port }] });
  expect(explain(BLOCK.portEnd + 1)).toMatchObject({ allowed: false, rule: 'peer-port' });
});
