import { turnTenantSchema } from '@orama/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PortWish, TenantLedger } from './ledger.ts';

const SOURCE = '192.0.2.1';

/** A ledger over a block of ports, with a clock that is moved by hand. */
function ledgerOf(
  portStart: number,
  portEnd: number,
  { maxAllocationsPerSource = 800, ...limits }: { maxAllocations?: number; maxAllocationsPerSource?: number } = {},
) {
  const time = { nowMs: 0, ended: 0 };
  let lastId = 0;
  const tenant = turnTenantSchema.parse({
    namespace: 'demo',
    secrets: ['a-secret-of-the-demo-tenant'],
    relay: { address: '127.92.0.1', portStart, portEnd },
    peers: [],
    maxAllocationsPerUsername: 2,
    generation: 1,
    ...limits,
  });
  const ledger = new TenantLedger(tenant, {
    maxAllocationsPerSource,
    nextId: () => ++lastId,
    nowMs: () => time.nowMs,
    leaseEnded: () => {
      time.ended++;
    },
  });
  return { ledger, time, tenant };
}

function lease(ledger: TenantLedger, wish: PortWish = { kind: 'any' }, username = 'user') {
  const answer = ledger.open({ username, source: SOURCE, wish, family: 4 });
  if (!answer.ok) throw new Error(`refused with ${answer.code}`);
  return answer.lease;
}

test('a lease counts towards the quota of its username and of the tenant until it is given back', () => {
  const { ledger, time } = ledgerOf(50_000, 50_009, { maxAllocations: 3 });
  const open = (username: string) => ledger.open({ username, source: SOURCE, wish: { kind: 'any' }, family: 4 });
  const first = lease(ledger, undefined, 'one');
  lease(ledger, undefined, 'one');
  expect(open('one')).toEqual({ ok: false, code: 486 });
  lease(ledger, undefined, 'two');
  expect(open('three')).toEqual({ ok: false, code: 486 });
  ledger.close(first.id);
  ledger.close(first.id);
  expect(time.ended).toBe(1);
  expect(open('three').ok).toBe(true);
});

test('a promised port is had once, by its token, with the family it was promised for, for thirty seconds', () => {
  const { ledger, time } = ledgerOf(50_000, 50_003, { maxAllocations: 10 });
  const answer = ledger.open({ username: 'a', source: SOURCE, wish: { kind: 'even', reserveNext: true }, family: 6 });
  if (!answer.ok) throw new Error('refused');
  const { port, token } = answer.lease;
  if (token === undefined) throw new Error('nothing was promised');
  const promised = lease(ledger, { kind: 'reserved', token }, 'b');
  expect(promised).toMatchObject({ port: port + 1, family: 6, token: undefined });
  expect(ledger.open({ username: 'c', source: SOURCE, wish: { kind: 'reserved', token }, family: 4 })).toEqual({
    ok: false,
    code: 508,
  });

  const late = lease(ledger, { kind: 'even', reserveNext: true }, 'c');
  expect(ledger.portCount).toBe(4);
  ledger.close(late.id);
  time.nowMs += 29_999;
  ledger.sweep();
  expect(ledger.portCount).toBe(3);
  time.nowMs += 1;
  const wish: PortWish = { kind: 'reserved', token: late.token ?? '' };
  expect(ledger.open({ username: 'd', source: SOURCE, wish, family: 4 })).toEqual({ ok: false, code: 508 });
  ledger.sweep();
  expect(ledger.portCount).toBe(2);
});

test('a promised port counts for whoever had it promised, until it is redeemed or too old', () => {
  const { ledger, time } = ledgerOf(50_000, 50_099);
  const pair: PortWish = { kind: 'even', reserveNext: true };
  const first = lease(ledger, pair, 'a');
  ledger.close(first.id);
  // One place is free again, and a pair takes two.
  expect(ledger.open({ username: 'a', source: SOURCE, wish: pair, family: 4 })).toEqual({ ok: false, code: 486 });
  expect(ledger.portCount).toBe(1);
  lease(ledger, undefined, 'a');
  expect(lease(ledger, { kind: 'reserved', token: first.token ?? '' }, 'a').port).toBe(first.port + 1);
  expect(ledger.open({ username: 'a', source: SOURCE, wish: { kind: 'any' }, family: 4 }).ok).toBe(false);

  const late = lease(ledger, pair, 'b');
  ledger.close(late.id);
  time.nowMs += 30_000;
  ledger.sweep();
  lease(ledger, pair, 'b');
});

test('a token does not lead past the quota of whoever shows it, and stays good for another', () => {
  const { ledger } = ledgerOf(50_000, 50_099);
  const { token = '' } = lease(ledger, { kind: 'even', reserveNext: true }, 'a');
  const redeem = (username: string) =>
    ledger.open({ username, source: SOURCE, wish: { kind: 'reserved', token }, family: 4 });
  lease(ledger, undefined, 'b');
  lease(ledger, undefined, 'b');
  expect(redeem('b')).toEqual({ ok: false, code: 486 });
  expect(redeem('c').ok).toBe(true);
});

test('limits that are lowered while a port is promised are not got round by showing its token again and again', () => {
  const { ledger, tenant } = ledgerOf(50_000, 50_019, { maxAllocations: 10 });
  for (const username of ['one', 'two', 'three']) lease(ledger, undefined, username);
  const { token = '' } = lease(ledger, { kind: 'even', reserveNext: true }, 'four');
  ledger.update({ ...tenant, maxAllocations: 3, maxAllocationsPerUsername: 1 });
  const redeem = (username: string) =>
    ledger.open({ username, source: SOURCE, wish: { kind: 'reserved', token }, family: 4 });
  for (let n = 0; n < 10; n++) expect(redeem('one')).toEqual({ ok: false, code: 486 });
  expect(redeem('five').ok).toBe(true);
  expect(ledger.leaseCount).toBe(5);
  const open = () => ledger.open({ username: 'six', source: SOURCE, wish: { kind: 'any' }, family: 4 });
  expect(open()).toEqual({ ok: false, code: 486 });
});

test('a source has its share of a tenant, whatever its usernames', () => {
  const { ledger } = ledgerOf(50_000, 50_099, { maxAllocationsPerSource: 3 });
  for (const username of ['a', 'b', 'c']) lease(ledger, undefined, username);
  const open = (source: string) => ledger.open({ username: 'd', source, wish: { kind: 'any' }, family: 4 });
  expect(open(SOURCE)).toEqual({ ok: false, code: 486 });
  expect(open('2001:db8:1:2::/64').ok).toBe(true);
});

test('replacePort goes round ports that cannot be bound, which others may have as soon as they can be', () => {
  const { ledger } = ledgerOf(50_000, 50_003);
  const pair = lease(ledger, { kind: 'even', reserveNext: true });
  const other = ledger.replacePort(pair.id);
  expect(new Set([pair.port, other])).toEqual(new Set([50_000, 50_002]));
  expect(ledger.replacePort(pair.id)).toBeUndefined();
  expect(ledger.portCount).toBe(0);
  expect(ledger.replacePort(pair.id)).toBeUndefined();
  ledger.close(pair.id);
  expect([ledger.leaseCount, ledger.portCount]).toEqual([0, 0]);

  const moved = lease(ledger, { kind: 'even', reserveNext: true });
  const to = ledger.replacePort(moved.id) as number;
  expect(lease(ledger, { kind: 'reserved', token: moved.token ?? '' }).port).toBe(to + 1);
});

test('replacePort after the promise was redeemed takes one port, which comes back', () => {
  const { ledger } = ledgerOf(50_000, 50_005);
  const pair = lease(ledger, { kind: 'even', reserveNext: true });
  const redeemed = lease(ledger, { kind: 'reserved', token: pair.token ?? '' });
  expect(ledger.replacePort(pair.id)).toBeDefined();
  expect(ledger.portCount).toBe(2);
  for (const { id } of [pair, redeemed]) ledger.close(id);
  expect(ledger.portCount).toBe(0);
});

test('a new block keeps what is leased outside of it', () => {
  const { ledger, tenant } = ledgerOf(50_000, 50_000);
  const old = lease(ledger);
  ledger.update({ ...tenant, relay: { ...tenant.relay, portStart: 50_001, portEnd: 50_001 } });
  expect(lease(ledger).port).toBe(50_001);
  expect(ledger.portCount).toBe(2);
  ledger.close(old.id);
  expect(ledger.portCount).toBe(1);
});

test('whatever is opened, replaced and closed: no port twice, and all free in the end', () => {
  const wishes: PortWish[] = [
    { kind: 'any' },
    { kind: 'even', reserveNext: false },
    { kind: 'even', reserveNext: true },
  ];
  const step = fc.oneof(
    fc.record({ do: fc.constant('open'), wish: fc.constantFrom(...wishes), user: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ do: fc.constantFrom('replace', 'close', 'redeem', 'wait'), which: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { ledger, time } = ledgerOf(50_000, 50_010);
      const held = new Map<number, number>();
      const tokens: string[] = [];
      const take = (username: string, wish: PortWish) => {
        const answer = ledger.open({ username, source: SOURCE, wish, family: 4 });
        if (!answer.ok) return;
        const { id, port, token } = answer.lease;
        expect([...held.values()]).not.toContain(port);
        held.set(id, port);
        if (token !== undefined) tokens.push(token);
      };
      for (const one of steps) {
        if ('wish' in one) {
          take(one.user, one.wish);
          continue;
        }
        const id = [...held.keys()][one.which];
        if (one.do === 'wait') {
          time.nowMs += 10_000;
          ledger.sweep();
        } else if (one.do === 'redeem') {
          take('d', { kind: 'reserved', token: tokens[one.which] ?? '' });
        } else if (id !== undefined && one.do === 'close') {
          ledger.close(id);
          held.delete(id);
        } else if (id !== undefined) {
          const port = ledger.replacePort(id);
          held.delete(id);
          if (port === undefined) ledger.close(id);
          else {
            expect([...held.values()]).not.toContain(port);
            held.set(id, port);
          }
        }
      }
      for (const id of held.keys()) ledger.close(id);
      time.nowMs += 30_000;
      ledger.sweep();
      expect([ledger.leaseCount, ledger.portCount]).toEqual([0, 0]);
      // Every place in the quota is free again too.
      for (const username of ['a', 'b', 'c', 'd']) lease(ledger, { kind: 'even', reserveNext: true }, username);
    }),
  );
});
