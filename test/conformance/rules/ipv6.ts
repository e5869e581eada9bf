import { type Rule, rule } from '../rule.ts';
import { ATTR, additionalFamily, bytes, FAMILY, lifetime, message, requestedFamily, TYPE, UDP } from '../wire/stun.ts';
import { expect, expectCode, expectData } from './expect.ts';

const OPTIONS = { needs: ['ipv6' as const] };
const PING = Buffer.from('ping');
const PONG = Buffer.from('pong');
/** A packet of the loopback interface has 65,536 bytes at most, 48 of them headers. */
const LARGER_THAN_THE_PATH = Buffer.alloc(65_489);

/** IPv6 clients, relay addresses and dual allocations. */
export const ipv6Rules: Rule[] = [
  rule(
    'ipv6-binding',
    'RFC 8489 §14.2',
    'MUST',
    'Binding tells an IPv6 client its address',
    async (bench) => {
      const client = await bench.client({ ipv6: true });
      const [mapped] = (await client.ask(message(TYPE.bindingRequest, []))).addresses(ATTR.xorMappedAddress);
      expect(mapped?.address === '::1' && mapped.port === client.socket.local.port, `it tells ${mapped?.address}`);
    },
    OPTIONS,
  ),
  rule(
    'ipv6-client',
    'RFC 8656 §7.2 step 7',
    'MUST',
    'an IPv6 client that names no family gets an IPv4 relay address',
    async (bench) => {
      const { client, relayed } = await bench.allocated({ ipv6: true });
      expect(!relayed.address.includes(':'), `it gets ${relayed.address}`);
      const peer = await bench.peer();
      await client.permit(peer);
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
    },
    OPTIONS,
  ),
  rule(
    'ipv6-relay',
    'RFC 8656 §7.2 step 7',
    'MUST',
    'REQUESTED-ADDRESS-FAMILY IPv6 gets an IPv6 relay address that carries data both ways',
    async (bench) => {
      const { client, relayed } = await bench.allocated({}, requestedFamily(FAMILY.ipv6));
      expect(relayed.address === '::1', `it gets ${relayed.address}`);
      const peer = await bench.peer('::1');
      await client.permit(peer);
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
      peer.send(PONG, relayed);
      const back = await client.nextData();
      expect(back.peer?.address === '::1' && back.peer.port === peer.port, 'another XOR-PEER-ADDRESS');
      expectData(back.data, PONG);
    },
    OPTIONS,
  ),
  rule(
    'ipv6-channel',
    'RFC 8656 §12',
    'MUST',
    'a channel to an IPv6 peer carries data both ways',
    async (bench) => {
      const { client, relayed } = await bench.allocated({}, requestedFamily(FAMILY.ipv6));
      const peer = await bench.peer('::1');
      expectCode(await client.bind(0x4000, peer), 200);
      client.channelData(0x4000, PING);
      expectData((await peer.next()).data, PING);
      peer.send(PONG, relayed);
      const back = await client.nextData();
      expect(back.channel === 0x4000, 'not on the channel');
      expectData(back.data, PONG);
    },
    OPTIONS,
  ),
  rule(
    'ipv6-peer-family',
    'RFC 8656 §10.2',
    'MUST',
    'an IPv4 peer of an IPv6 allocation is answered with 443',
    async (bench) => {
      const { client } = await bench.allocated({}, requestedFamily(FAMILY.ipv6));
      const peer = { address: bench.server.addresses.peer, port: 5000 };
      expectCode(await client.requestWithPeers(TYPE.createPermission, [peer]), 443);
      expectCode(await client.bind(0x4000, peer), 443);
    },
    OPTIONS,
  ),
  rule(
    'ipv6-refresh-family',
    'RFC 8656 §8.2',
    'MUST',
    'Refresh of an IPv6 allocation for IPv4 is answered with 443',
    async (bench) => {
      const { client } = await bench.allocated({}, requestedFamily(FAMILY.ipv6));
      expectCode(await client.request(TYPE.refresh, requestedFamily(FAMILY.ipv4)), 443);
      expectCode(await client.request(TYPE.refresh, requestedFamily(FAMILY.ipv6)), 200);
    },
    OPTIONS,
  ),
  rule(
    'ipv6-dont-fragment',
    'RFC 8656 §11.2, §14',
    'MUST',
    'Send with DONT-FRAGMENT of more than the path takes is discarded, and not fragmented',
    async (bench) => {
      const client = await bench.client({ transport: 'tcp' });
      const ipv6 = requestedFamily(FAMILY.ipv6);
      const { isSuccess } = await client.request(TYPE.allocate, UDP, ipv6, bytes(ATTR.dontFragment));
      if (!isSuccess) await client.allocate(ipv6);
      const peer = await bench.peer('::1');
      await client.permit(peer);
      client.send(peer, LARGER_THAN_THE_PATH);
      // A server whose streams take no such message has nothing to discard.
      const taken = await peer.next().catch(() => undefined);
      if (taken === undefined) return;
      expectData(taken.data, LARGER_THAN_THE_PATH);
      client.send(peer, LARGER_THAN_THE_PATH, bytes(ATTR.dontFragment));
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
    },
    { needs: ['ipv6', 'tcp'] },
  ),
  rule(
    'dual',
    'RFC 8656 §7.2 step 9',
    'MUST',
    'ADDITIONAL-ADDRESS-FAMILY IPv6 gets an address of each family, and both carry data',
    async (bench) => {
      const client = await bench.client();
      const { response } = await client.allocate(additionalFamily(FAMILY.ipv6));
      const relayed = response.addresses(ATTR.xorRelayedAddress);
      const [ipv4, ipv6] = [
        relayed.find(({ address }) => address !== '::1'),
        relayed.find(({ address }) => address === '::1'),
      ];
      expect(relayed.length === 2 && ipv4 !== undefined && ipv6 !== undefined, `${relayed.length} addresses`);
      for (const [peer, from] of [
        [await bench.peer(), ipv4],
        [await bench.peer('::1'), ipv6],
      ] as const) {
        await client.permit(peer);
        client.send(peer, PING);
        expect((await peer.next()).from.port === from.port, 'from another port');
        peer.send(PONG, from);
        expectData((await client.nextData()).data, PONG);
      }
    },
    OPTIONS,
  ),
  rule(
    'dual-refresh-one',
    'RFC 8656 §8.1',
    'MUST',
    'one family of a dual allocation can be ended, and the other lives on',
    async (bench) => {
      const client = await bench.client();
      const { response } = await client.allocate(additionalFamily(FAMILY.ipv6));
      const ipv6 = response.addresses(ATTR.xorRelayedAddress).find(({ address }) => address === '::1');
      expectCode(await client.request(TYPE.refresh, lifetime(0), requestedFamily(FAMILY.ipv6)), 200);
      expect(ipv6 !== undefined && (await bench.isFree(ipv6)), 'its port is still bound');
      const peer = await bench.peer();
      await client.permit(peer);
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
      expectCode(await client.request(TYPE.refresh), 200);
    },
    OPTIONS,
  ),
  rule(
    'dual-refresh-both',
    'RFC 8656 §8.1',
    'MUST',
    'Refresh with LIFETIME 0 and no family ends both',
    async (bench) => {
      const client = await bench.client();
      const { response } = await client.allocate(additionalFamily(FAMILY.ipv6));
      expectCode(await client.request(TYPE.refresh, lifetime(0)), 200);
      for (const each of response.addresses(ATTR.xorRelayedAddress)) {
        expect(await bench.isFree(each), `${each.address} is still bound`);
      }
      expectCode(await client.request(TYPE.refresh), 437);
    },
    OPTIONS,
  ),
];
