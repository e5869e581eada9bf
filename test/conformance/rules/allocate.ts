import { randomBytes } from 'node:crypto';
import { type Rule, rule } from '../rule.ts';
import { ATTR, additionalFamily, bytes, FAMILY, lifetime, requestedFamily, TYPE, UDP } from '../wire/stun.ts';
import { expect, expectCode } from './expect.ts';

const SECTION = 'RFC 8656 §7.2';
const EVEN = bytes(ATTR.evenPort, 0);
const EVEN_PAIR = bytes(ATTR.evenPort, 0x80);

/** Allocate. */
export const allocateRules: Rule[] = [
  rule('allocate', SECTION, 'MUST', 'a success carries relayed address, mapped address and lifetime', async (bench) => {
    const client = await bench.client();
    const { relayed, response } = await client.allocate();
    expect(relayed.port >= bench.server.relayPorts.first, 'a relay port below the block');
    expect(relayed.port <= bench.server.relayPorts.last, 'a relay port above the block');
    const [mapped] = response.addresses(ATTR.xorMappedAddress);
    expect(mapped?.port === client.socket.local.port, 'another mapped port');
    expect(mapped.address === client.socket.local.address, 'another mapped address');
    expect(response.uint32(ATTR.lifetime) === 600, `a lifetime of ${response.uint32(ATTR.lifetime)}`);
  }),
  rule(
    'allocate-twice',
    `${SECTION} step 2`,
    'MUST',
    'a second Allocate on a 5-tuple is answered with 437',
    async (bench) => {
      const { client } = await bench.allocated();
      expectCode(await client.request(TYPE.allocate, UDP), 437);
    },
  ),
  rule(
    'allocate-repeated',
    'RFC 8489 §6.3.1',
    'MUST',
    'a retransmitted Allocate gets the response again',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      const request = client.sealed(TYPE.allocate, [UDP]);
      const first = await client.ask(request);
      const second = await client.ask(request);
      expectCode(first, 200);
      expect(second.raw.equals(first.raw), 'another one');
    },
  ),
  rule(
    'allocate-repeated-at-once',
    'RFC 8489 §6.3.1',
    'MUST',
    'copies of an Allocate that come together make one allocation',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      const request = client.sealed(TYPE.allocate, [UDP]);
      client.raw(request);
      client.raw(request);
      const first = await client.ask(request);
      expectCode(first, 200);
      const again = await client.ask(request);
      expect(
        again.addresses(ATTR.xorRelayedAddress)[0]?.port === first.addresses(ATTR.xorRelayedAddress)[0]?.port,
        'two',
      );
    },
  ),
  rule(
    'allocate-no-transport',
    `${SECTION} step 3`,
    'MUST',
    'Allocate without REQUESTED-TRANSPORT is answered with 400',
    async (bench) => expectCode(await (await bench.client()).request(TYPE.allocate), 400),
  ),
  rule(
    'allocate-bad-transport',
    `${SECTION} step 3`,
    'MUST',
    'a malformed REQUESTED-TRANSPORT is answered with 400',
    async (bench) =>
      expectCode(await (await bench.client()).request(TYPE.allocate, bytes(ATTR.requestedTransport, 17)), 400),
  ),
  rule('allocate-442', `${SECTION} step 3`, 'MUST', 'a transport other than UDP is answered with 442', async (bench) =>
    expectCode(await (await bench.client()).request(TYPE.allocate, bytes(ATTR.requestedTransport, 132, 0, 0, 0)), 442),
  ),
  rule(
    'allocate-dont-fragment',
    `${SECTION} step 4`,
    'MUST',
    'DONT-FRAGMENT is honoured, or answered with 420 that names it',
    async (bench) => {
      const response = await (await bench.client()).request(TYPE.allocate, UDP, bytes(ATTR.dontFragment));
      if (response.isSuccess) return;
      expectCode(response, 420);
      expect(response.value(ATTR.unknownAttributes)?.readUInt16BE() === ATTR.dontFragment, 'it is not named');
    },
  ),
  rule('allocate-lifetime-short', SECTION, 'MUST', 'a lifetime below the default gets the default', async (bench) => {
    const { response } = await (await bench.client()).allocate(lifetime(10));
    expect(response.uint32(ATTR.lifetime) === 600, `it got ${response.uint32(ATTR.lifetime)}`);
  }),
  rule(
    'allocate-lifetime-long',
    SECTION,
    'MUST',
    'a lifetime between default and maximum is granted',
    async (bench) => {
      const { response } = await (await bench.client()).allocate(lifetime(1800));
      expect(response.uint32(ATTR.lifetime) === 1800, `it got ${response.uint32(ATTR.lifetime)}`);
    },
  ),
  rule('allocate-lifetime-maximum', SECTION, 'SHOULD', 'no lifetime is longer than an hour', async (bench) => {
    const { response } = await (await bench.client()).allocate(lifetime(0xffffffff));
    expect(response.uint32(ATTR.lifetime) === 3600, `it got ${response.uint32(ATTR.lifetime)}`);
  }),
  rule('allocate-port-range', SECTION, 'SHOULD', 'relay ports are at least 49152', async (bench) => {
    const { relayed } = await bench.allocated();
    expect(relayed.port >= 49_152, `it is ${relayed.port}`);
  }),
  rule('even-port', SECTION, 'MUST', 'EVEN-PORT gets an even port', async (bench) => {
    for (let n = 0; n < 4; n++) {
      const { relayed } = await bench.allocated({}, EVEN);
      expect(relayed.port % 2 === 0, `it got ${relayed.port}`);
    }
  }),
  rule(
    'even-port-reserve',
    SECTION,
    'MUST',
    'EVEN-PORT with R set gets a token for the port above, which another 5-tuple gets with it',
    async (bench) => {
      const { relayed, response } = await (await bench.client()).allocate(EVEN_PAIR);
      const token = response.value(ATTR.reservationToken);
      expect(relayed.port % 2 === 0 && token?.length === 8, 'no even port, or no token of 8 bytes');
      const other = await bench.client({ from: bench.server.addresses.otherClient });
      const next = await other.allocate([ATTR.reservationToken, token]);
      expect(next.relayed.port === relayed.port + 1, `the token got ${next.relayed.port} for ${relayed.port}`);
    },
  ),
  ...(
    [
      ['lifetime-malformed', 'LIFETIME', ATTR.lifetime, [0, 0, 1], [400]],
      ['even-port-malformed', 'EVEN-PORT', ATTR.evenPort, [0x80, 0], [400]],
      ['token-malformed', 'RESERVATION-TOKEN', ATTR.reservationToken, [1, 2, 3, 4], [400, 508]],
      ['family-malformed', 'REQUESTED-ADDRESS-FAMILY', ATTR.requestedAddressFamily, [1], [400, 440]],
      ['family-additional-malformed', 'ADDITIONAL-ADDRESS-FAMILY', ATTR.additionalAddressFamily, [], [400, 440]],
    ] as const
  ).map(([id, name, type, value, codes]) =>
    rule(
      id,
      'RFC 8489 §14.8',
      'SHOULD',
      `Allocate with ${name} of a wrong length is answered with ${codes.join(' or ')}`,
      async (bench) => {
        const client = await bench.client();
        expectCode(await client.request(TYPE.allocate, UDP, bytes(type, ...value)), ...codes);
        await client.allocate();
      },
    ),
  ),
  rule('token-once', SECTION, 'MUST', 'a token is good for one allocation', async (bench) => {
    const { response } = await (await bench.client()).allocate(EVEN_PAIR);
    const token = [ATTR.reservationToken, response.value(ATTR.reservationToken) as Buffer] as const;
    await (await bench.client()).allocate(token);
    expectCode(await (await bench.client()).request(TYPE.allocate, UDP, token), 508);
  }),
  rule('token-unknown', `${SECTION} step 5`, 'MUST', 'an unknown token is answered with 508', async (bench) =>
    expectCode(await (await bench.client()).request(TYPE.allocate, UDP, [ATTR.reservationToken, randomBytes(8)]), 508),
  ),
  ...(
    [
      ['even-port', EVEN],
      ['requested-family', requestedFamily(FAMILY.ipv4)],
      ['additional-family', additionalFamily(FAMILY.ipv6)],
    ] as const
  ).map(([name, attribute]) =>
    rule(
      `token-with-${name}`,
      `${SECTION} step 5`,
      'MUST',
      `RESERVATION-TOKEN with ${name} is answered with 400`,
      async (bench) => {
        const token = [ATTR.reservationToken, randomBytes(8)] as const;
        expectCode(await (await bench.client()).request(TYPE.allocate, UDP, token, attribute), 400);
      },
    ),
  ),
  rule(
    'family-ipv4',
    `${SECTION} step 7`,
    'MUST',
    'REQUESTED-ADDRESS-FAMILY IPv4 gets an IPv4 address',
    async (bench) => {
      const { relayed } = await bench.allocated({}, requestedFamily(FAMILY.ipv4));
      expect(!relayed.address.includes(':'), `it got ${relayed.address}`);
    },
  ),
  rule(
    'family-unknown',
    `${SECTION} step 7`,
    'MUST',
    'a family that does not exist is answered with 440',
    async (bench) => expectCode(await (await bench.client()).request(TYPE.allocate, UDP, requestedFamily(3)), 440),
  ),
  rule(
    'family-both',
    `${SECTION} step 6`,
    'MUST',
    'REQUESTED- with ADDITIONAL-ADDRESS-FAMILY is answered with 400',
    async (bench) => {
      const families = [requestedFamily(FAMILY.ipv4), additionalFamily(FAMILY.ipv6)];
      expectCode(await (await bench.client()).request(TYPE.allocate, UDP, ...families), 400);
    },
  ),
  rule(
    'family-additional-ipv4',
    `${SECTION} step 9`,
    'MUST',
    'ADDITIONAL-ADDRESS-FAMILY IPv4 is answered with 400',
    async (bench) =>
      expectCode(await (await bench.client()).request(TYPE.allocate, UDP, additionalFamily(FAMILY.ipv4)), 400),
  ),
  rule(
    'family-additional-pair',
    `${SECTION} step 8`,
    'MUST',
    'ADDITIONAL-ADDRESS-FAMILY with a reserving EVEN-PORT is answered with 400',
    async (bench) =>
      expectCode(
        await (await bench.client()).request(TYPE.allocate, UDP, EVEN_PAIR, additionalFamily(FAMILY.ipv6)),
        400,
      ),
  ),
];
