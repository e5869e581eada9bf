import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { afterEach, expect, test } from 'vitest';
import { PUBLIC_IP, SFU_IP, TurnHarness } from '../testing/harness.ts';
import { OwnAddresses } from './own-addresses.ts';

/** Public addresses that nobody wrote into the configuration. */
const FLOATING_IP = '9.9.9.10';
const FLOATING_IP6 = '2606:4700::10';

let interfaces: string[];
let turn: TurnHarness;
let clock: VirtualClock;
afterEach(() => turn?.close());

async function start(workers: number): Promise<void> {
  interfaces = ['127.0.0.1'];
  clock = new VirtualClock(Date.now());
  turn = await TurnHarness.start({ workers }, clock, () => interfaces);
  await turn.attach({ allowPublicPeers: true, generation: 2 });
}

const ruleOf = (address: string) => turn.service.tenants.explainPeer('demo', address)?.rule;

test('an address of an interface that nobody configured is refused, as soon as a tenant is attached', async () => {
  await start(1);
  interfaces = ['127.0.0.1', FLOATING_IP, FLOATING_IP6, SFU_IP];
  await turn.attach({ allowPublicPeers: true, generation: 3 });
  for (const address of [FLOATING_IP, `::ffff:${FLOATING_IP}`, FLOATING_IP6, '2606:4700:0::0010', '127.0.0.1']) {
    expect(ruleOf(address)).toBe('own-address');
  }
  const client = await turn.client();
  await client.allocate();
  await expect(client.createPermission(FLOATING_IP)).rejects.toMatchObject({ code: 403 });
  await expect(client.channelBind(0x4000, FLOATING_IP, 53)).rejects.toMatchObject({ code: 403 });
  expect(turn.server.refusals.byRule.get('own-address')).toBe(2);
  // The namespace's own SFU may be on this very node.
  expect(ruleOf(SFU_IP)).toBe('peers');
  await client.createPermission(SFU_IP);
});

test('an address that an interface is given takes the permissions and channels that clients have there', async () => {
  await start(1);
  const client = await turn.client();
  await client.allocate();
  await client.createPermission(FLOATING_IP, '8.8.8.8');
  await client.channelBind(0x4000, FLOATING_IP, 53);
  interfaces = ['127.0.0.1', FLOATING_IP];
  expect(ruleOf(FLOATING_IP)).toBe('public');
  clock.advance(5_000);
  expect(ruleOf(FLOATING_IP)).toBe('own-address');

  client.send(FLOATING_IP, 53, Buffer.from('x'));
  client.channelData(0x4000, Buffer.from('x'));
  await client.binding();
  expect([turn.drops.noPermission, turn.drops.unboundChannel]).toEqual([1, 1]);
  await expect(client.createPermission(FLOATING_IP)).rejects.toMatchObject({ code: 403 });
  await client.createPermission('8.8.8.8');

  // Moved to another machine it is a peer as any other.
  interfaces = ['127.0.0.1'];
  clock.advance(5_000);
  await client.createPermission(FLOATING_IP);
});

test('every worker knows the addresses of the interfaces', async () => {
  await start(2);
  interfaces = ['127.0.0.1', FLOATING_IP];
  clock.advance(5_000);
  const clients = await Promise.all(Array.from({ length: 16 }, () => turn.client()));
  for (const client of clients) {
    await client.allocate();
    await expect(client.createPermission(FLOATING_IP)).rejects.toMatchObject({ code: 403 });
  }
  for (const { allocations } of await turn.service.reports()) expect(allocations).toBeGreaterThan(0);
});

test('OwnAddresses keeps what it knows while the interfaces cannot be read', () => {
  let readable = true;
  const own = new OwnAddresses(
    [PUBLIC_IP],
    () => {
      if (!readable) throw new Error('EMFILE');
      return [FLOATING_IP];
    },
    silentLogger,
  );
  expect(own.refresh()).toBe(true);
  readable = false;
  expect(own.refresh()).toBe(false);
  expect(own.refresh([FLOATING_IP6])).toBe(true);
  for (const address of [PUBLIC_IP, FLOATING_IP, FLOATING_IP6]) expect(own.set.has(address)).toBe(true);
});
