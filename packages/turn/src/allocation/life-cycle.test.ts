import { VirtualClock } from '@orama/core';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TurnClient, TurnError } from '../client/turn-client.ts';
import { type AddressFamily, familyOf } from '../stun/index.ts';
import { type Peer, RELAY_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';

const LOOPBACK6 = '::1';

let turn: TurnHarness;
let clock: VirtualClock;
let peers: Peer[];
beforeEach(async () => {
  clock = new VirtualClock();
  turn = await TurnHarness.start({}, clock);
  await turn.attach({
    relay: { address: RELAY_IP, address6: LOOPBACK6, portStart: 49_152, portEnd: 49_951 },
    peers: [SFU_IP, LOOPBACK6].map((ip) => ({ ip, portStart: 20_000, portEnd: 65_535 })),
    generation: 2,
  });
  peers = [await turn.peer(), await turn.peer(), await turn.peer(LOOPBACK6)];
});
afterEach(() => turn.close());

/** What RFC 8656 says must be there now, and when it ends (seconds). */
interface Model {
  nowSec: number;
  halves: Map<AddressFamily, number>;
  permissions: Map<string, number>;
  channels: Map<number, { peer: number; endsAtSec: number }>;
}

interface Real {
  client: TurnClient;
}

type Step = fc.AsyncCommand<Model, Real>;

const peerOf = (index: number) => peers[index] as Peer;

/** The code a request is refused with; undefined when it succeeds. */
async function codeOf(request: Promise<unknown>): Promise<number | undefined> {
  try {
    await request;
    return undefined;
  } catch (thrown) {
    return (thrown as TurnError).code;
  }
}

function endFamily(model: Model, family: AddressFamily): void {
  model.halves.delete(family);
  for (const address of model.permissions.keys()) {
    if (familyOf(address) === family) model.permissions.delete(address);
  }
  for (const [channel, { peer }] of model.channels) {
    if (familyOf(peerOf(peer).address) === family) model.channels.delete(channel);
  }
}

function step(name: string, run: (model: Model, real: Real) => Promise<void>): Step {
  return { check: () => true, run, toString: () => name };
}

function allocate(kind: 4 | 6 | 'dual'): Step {
  return step(`allocate ${kind}`, async (model, { client }) => {
    const request = client.allocate(kind === 'dual' ? { additionalIpv6: true } : { family: kind });
    if (model.halves.size > 0) {
      expect(await codeOf(request)).toBe(437);
      return;
    }
    const { allRelayed } = await request;
    const families: AddressFamily[] = kind === 'dual' ? [4, 6] : [kind];
    expect(allRelayed.map(({ family }) => family)).toEqual(families);
    for (const family of families) model.halves.set(family, model.nowSec + 600);
  });
}

function refresh(lifetimeSec: number, family: AddressFamily | undefined): Step {
  return step(`refresh ${lifetimeSec} ${family ?? 'all'}`, async (model, { client }) => {
    const code = await codeOf(client.refresh(lifetimeSec, family));
    const wanted = family === undefined || model.halves.has(family) ? undefined : 443;
    expect(code).toBe(model.halves.size === 0 ? 437 : wanted);
    if (code !== undefined) return;
    for (const own of [...model.halves.keys()]) {
      if (family !== undefined && own !== family) continue;
      if (lifetimeSec === 0) endFamily(model, own);
      else model.halves.set(own, model.nowSec + lifetimeSec);
    }
  });
}

function permit(peer: number): Step {
  return step(`permit peer ${peer}`, async (model, { client }) => {
    const { address } = peerOf(peer);
    const code = await codeOf(client.createPermission(address));
    expect(code).toBe(model.halves.size === 0 ? 437 : model.halves.has(familyOf(address)) ? undefined : 443);
    if (code === undefined) model.permissions.set(address, model.nowSec + 300);
  });
}

function bind(channel: number, peer: number): Step {
  return step(`bind ${channel} to peer ${peer}`, async (model, { client }) => {
    const { address, port } = peerOf(peer);
    const ofPeer = [...model.channels].find(([, bound]) => bound.peer === peer)?.[0];
    const bound = model.channels.get(channel);
    let wanted: number | undefined;
    if (model.halves.size === 0) wanted = 437;
    else if ((bound !== undefined && bound.peer !== peer) || (ofPeer !== undefined && ofPeer !== channel)) wanted = 400;
    else if (!model.halves.has(familyOf(address))) wanted = 443;
    expect(await codeOf(client.channelBind(channel, address, port))).toBe(wanted);
    if (wanted !== undefined) return;
    model.permissions.set(address, model.nowSec + 300);
    model.channels.set(channel, { peer, endsAtSec: model.nowSec + 600 });
  });
}

function advance(seconds: number): Step {
  return step(`${seconds} s pass`, async (model) => {
    clock.advance(seconds * 1000);
    model.nowSec += seconds;
    for (const [family, endsAtSec] of model.halves) if (endsAtSec <= model.nowSec) endFamily(model, family);
    for (const [address, endsAtSec] of model.permissions) {
      if (endsAtSec <= model.nowSec) model.permissions.delete(address);
    }
    for (const [channel, { endsAtSec }] of model.channels) {
      if (endsAtSec <= model.nowSec) model.channels.delete(channel);
    }
  });
}

/** Sends one packet and sees that it arrives, or that it is dropped for a reason. */
async function expectRelayed({ client }: Real, peer: number, send: (data: Buffer) => void, arrives: boolean) {
  const { drops } = turn;
  const dropped = () => drops.noPermission + drops.unboundChannel + drops.unknownClient;
  const before = dropped();
  send(Buffer.from('data'));
  await client.binding();
  expect(dropped() - before).toBe(arrives ? 0 : 1);
  if (arrives) expect((await peerOf(peer).next()).data.toString()).toBe('data');
}

function sendTo(peer: number): Step {
  return step(`send to peer ${peer}`, async (model, real) => {
    const { address, port } = peerOf(peer);
    const send = (data: Buffer) => real.client.send(address, port, data);
    await expectRelayed(real, peer, send, model.permissions.has(address));
  });
}

function channelData(channel: number): Step {
  return step(`data on ${channel}`, async (model, real) => {
    const peer = model.channels.get(channel)?.peer;
    const send = (data: Buffer) => real.client.channelData(channel, data);
    const arrives = peer !== undefined && model.permissions.has(peerOf(peer).address);
    await expectRelayed(real, peer ?? 0, send, arrives);
  });
}

test('whatever a client does in whatever order, allocation, permissions and channels are those of RFC 8656', async () => {
  const peer = fc.nat(2);
  const channel = fc.integer({ min: 0x4000, max: 0x4002 });
  const steps = [
    fc.constantFrom(4 as const, 6 as const, 'dual' as const).map(allocate),
    fc
      .tuple(fc.constantFrom(0, 600, 1200), fc.constantFrom(undefined, 4 as const, 6 as const))
      .map(([lifetimeSec, family]) => refresh(lifetimeSec, family)),
    peer.map(permit),
    fc.tuple(channel, peer).map(([number, index]) => bind(number, index)),
    fc.constantFrom(1, 100, 299, 300, 301, 599).map(advance),
    peer.map(sendTo),
    channel.map(channelData),
  ];
  await fc.assert(
    fc.asyncProperty(fc.commands(steps, { maxCommands: 40, size: '+1' }), async (commands) => {
      const client = await turn.client('udp', turn.credentials('demo', 1_000_000));
      const model: Model = { nowSec: 0, halves: new Map(), permissions: new Map(), channels: new Map() };
      await fc.asyncModelRun(() => ({ model, real: { client } }), commands);
      if (model.halves.size > 0) await client.refresh(0);
      await client.close();
      const { ledger } = turn;
      await expect.poll(() => [ledger.leaseCount, ledger.portCount], { interval: 1 }).toEqual([0, 0]);
      expect(turn.portsBound).toBe(0);
    }),
    { numRuns: 60 },
  );
});
