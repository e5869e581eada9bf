import { type Rule, rule } from '../rule.ts';
import { ATTR, bytes, FAMILY, lifetime, requestedFamily, TYPE, UDP } from '../wire/stun.ts';
import { expect, expectCode, expectData } from './expect.ts';

const SECTION = 'RFC 8656 §8.2';

/** Refresh. */
export const refreshRules: Rule[] = [
  ...(
    [
      ['refresh', undefined, 600, 'Refresh without LIFETIME grants the default'],
      ['refresh-lifetime', 1800, 1800, 'Refresh grants the lifetime that was asked for'],
      ['refresh-lifetime-short', 10, 600, 'Refresh grants no less than the default'],
    ] as const
  ).map(([id, asked, granted, says]) =>
    rule(id, SECTION, 'MUST', says, async (bench) => {
      const { client } = await bench.allocated();
      const response = await client.request(TYPE.refresh, ...(asked === undefined ? [] : [lifetime(asked)]));
      expectCode(response, 200);
      expect(response.uint32(ATTR.lifetime) === granted, `it grants ${response.uint32(ATTR.lifetime)}`);
    }),
  ),
  rule('refresh-lifetime-maximum', SECTION, 'SHOULD', 'Refresh grants no more than an hour', async (bench) => {
    const { client } = await bench.allocated();
    const response = await client.request(TYPE.refresh, lifetime(0xffffffff));
    expect(response.uint32(ATTR.lifetime) === 3600, `it grants ${response.uint32(ATTR.lifetime)}`);
  }),
  rule(
    'refresh-malformed',
    'RFC 8489 §14.8',
    'SHOULD',
    'Refresh with a malformed LIFETIME is answered with 400, and the allocation lives on',
    async (bench) => {
      const { client } = await bench.allocated();
      expectCode(await client.request(TYPE.refresh, bytes(ATTR.lifetime, 0, 0)), 400);
      expectCode(await client.request(TYPE.refresh), 200);
    },
  ),
  rule('refresh-lives', SECTION, 'MUST', 'permissions and channels live on over a Refresh', async (bench) => {
    const { client, peer } = await bench.bound();
    expectCode(await client.request(TYPE.refresh), 200);
    client.channelData(0x4000, Buffer.from('still here'));
    expectData((await peer.next()).data, Buffer.from('still here'));
  }),
  rule(
    'refresh-zero',
    SECTION,
    'MUST',
    'LIFETIME 0 ends the allocation: it is answered with 0, the next Refresh with 437',
    async (bench) => {
      const { client } = await bench.allocated();
      const response = await client.request(TYPE.refresh, lifetime(0));
      expectCode(response, 200);
      expect(response.uint32(ATTR.lifetime) === 0, `it says ${response.uint32(ATTR.lifetime)}`);
      expectCode(await client.request(TYPE.refresh), 437);
    },
  ),
  rule('refresh-zero-frees', SECTION, 'MUST', 'LIFETIME 0 closes the relay port', async (bench) => {
    const { client, relayed } = await bench.allocated();
    expectCode(await client.request(TYPE.refresh, lifetime(0)), 200);
    expect(await bench.isFree(relayed), 'it is still bound');
  }),
  rule(
    'refresh-zero-again',
    'RFC 8656 §7.2 step 2',
    'MUST',
    'after LIFETIME 0 the 5-tuple may allocate again',
    async (bench) => {
      const { client } = await bench.allocated();
      await client.request(TYPE.refresh, lifetime(0));
      expectCode(await client.request(TYPE.allocate, UDP), 200);
    },
  ),
  rule('refresh-zero-silences', SECTION, 'MUST', 'after LIFETIME 0 nothing is relayed', async (bench) => {
    const { client, peer } = await bench.bound();
    await client.request(TYPE.refresh, lifetime(0));
    client.channelData(0x4000, Buffer.from('late'));
    client.send(peer, Buffer.from('late'));
    const { client: next } = await bench.allocated();
    await next.permit(peer);
    next.send(peer, Buffer.from('in time'));
    expectData((await peer.next()).data, Buffer.from('in time'));
  }),
  rule('refresh-none', 'RFC 8656 §5', 'MUST', 'Refresh without an allocation is answered with 437', async (bench) =>
    expectCode(await (await bench.client()).request(TYPE.refresh), 437),
  ),
  rule('refresh-family', SECTION, 'MUST', 'Refresh with another address family is answered with 443', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.request(TYPE.refresh, requestedFamily(FAMILY.ipv6)), 443);
    expectCode(await client.request(TYPE.refresh, requestedFamily(FAMILY.ipv4)), 200);
  }),
  rule(
    'refresh-repeated',
    'RFC 8489 §6.3.1',
    'MUST',
    'a retransmitted Refresh with LIFETIME 0 gets the success again',
    async (bench) => {
      const { client } = await bench.allocated();
      const request = client.sealed(TYPE.refresh, [lifetime(0)]);
      expectCode(await client.ask(request), 200);
      expectCode(await client.ask(request), 200, 437);
    },
  ),
];
