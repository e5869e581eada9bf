import { type Bench, type Rule, rule } from '../rule.ts';
import type { Client } from '../wire/client.ts';
import { type Endpoint, lifetime, TYPE, UDP } from '../wire/stun.ts';
import { expect, expectCode } from './expect.ts';

const OPTIONS = { size: 'tight' as const, needs: ['limits' as const] };

interface Held {
  client: Client;
  relayed: Endpoint;
}

/** Ends an allocation and waits until its port is given back. */
async function end(bench: Bench, { client, relayed }: Held): Promise<void> {
  expectCode(await client.request(TYPE.refresh, lifetime(0)), 200);
  expect(await bench.isFree(relayed), 'a port is not given back');
}

/** Runs `work` with a list of allocations that all end after it. */
async function holding(bench: Bench, work: (held: Held[]) => Promise<void>): Promise<void> {
  const held: Held[] = [];
  try {
    await work(held);
  } finally {
    for (const each of held) await end(bench, each);
  }
}

/** Another client of a user, and its allocation. */
async function allocate(bench: Bench, user: number): Promise<Held> {
  return bench.allocated({ credentials: bench.server.credentials(user) });
}

/** The code that another client of a user gets for an Allocate. */
async function refusal(bench: Bench, user: number) {
  const client = await bench.client({ credentials: bench.server.credentials(user) });
  return client.request(TYPE.allocate, UDP);
}

/** Quotas and full blocks, at a server with three relay ports and two allocations for each user. */
export const limitRules: Rule[] = [
  rule(
    'quota',
    'RFC 8656 §7.2 step 10',
    'MUST',
    'a user with all its allocations is answered with 486, and gets one when one ends',
    (bench) =>
      holding(bench, async (held) => {
        held.push(await allocate(bench, 1), await allocate(bench, 1));
        expectCode(await refusal(bench, 1), 486);
        await end(bench, held.shift() as Held);
        held.push(await allocate(bench, 1));
      }),
    OPTIONS,
  ),
  rule(
    'quota-user',
    'RFC 8656 §7.2 step 10',
    'SHOULD',
    'a quota counts the user, not the address',
    (bench) =>
      holding(bench, async (held) => {
        for (const user of [2, 2, 3]) held.push(await allocate(bench, user));
      }),
    OPTIONS,
  ),
  rule(
    'full',
    'RFC 8656 §7.2 step 8',
    'MUST',
    'with every relay port taken the answer is 508, and a port that is given back is given out again',
    (bench) =>
      holding(bench, async (held) => {
        for (const user of [4, 5, 6]) held.push(await allocate(bench, user));
        expectCode(await refusal(bench, 7), 508);
        await end(bench, held.shift() as Held);
        held.push(await allocate(bench, 7));
      }),
    OPTIONS,
  ),
];
