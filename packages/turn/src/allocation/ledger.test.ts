import { turnTenantSchema } from '@orama/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PortWish, TenantLedger } from './ledger.ts';

/** A ledger over a block of ports, with a clock that is moved by hand. */
function ledgerOf(portStart: number, portEnd: number, limits: { maxAllocations?: number } = {}) {
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
    nextId: () => ++lastId,
    nowMs: () => time.nowMs,
    leaseEnded: () => {
      time.ended++;
    },
  });
  return { ledger, time, tenant };
}

function lease(ledger: TenantLedger, wish: PortWish = { kind: 'any' }, username = 'user') {
  const answer = ledger.open({ username, wish, family: 4 });
  if (!answer.ok) throw new Error(`refused with ${answer.code}`);
  return answer.lease;
}

test('a lease counts towards the quota of its username and of the tenant until it is given back', () => {
  const { ledger, time } = ledgerOf(50_000, 50_009, { maxAllocations: 3 });
  const open = (username: string) => ledger.open({ username, wish: { kind: 'any' }, family: 4 });
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
  const answer = ledger.open({ username: 'a', wish: { kind: 'even', reserveNext: true }, family: 6 });
  if (!answer.ok) throw new Error('refused');
  const { port, token } = answer.lease;
  if (token === undefined) throw new Error('nothing was promised');
  const promised = lease(ledger, { kind: 'reserved', token }, 'b');
  expect(promised).toMatchObject({ port: port + 1, family: 6, token: undefined });
  expect(ledger.open({ username: 'c', wish: { kind: 'reserved', token }, family: 4 })).toEqual({
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
  expect(ledger.open({ username: 'd', wish, family: 4 })).toEqual({ ok: false, code: 508 });
  ledger.sweep();
  expect(ledger.portCount).toBe(2);
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
        const answer = ledger.open({ username, wish, family: 4 });
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
    }),
  );
});
