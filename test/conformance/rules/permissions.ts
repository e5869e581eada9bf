import { type Rule, rule } from '../rule.ts';
import { ATTR, bytes, TYPE } from '../wire/stun.ts';
import { expect, expectCode, expectData } from './expect.ts';

const SECTION = 'RFC 8656 §10.2';
const PING = Buffer.from('ping');
const PONG = Buffer.from('pong');

/** Permissions and CreatePermission. */
export const permissionRules: Rule[] = [
  rule(
    'permission-out',
    'RFC 8656 §11.2',
    'MUST',
    'Send to a peer without a permission is discarded',
    async (bench) => {
      const { client } = await bench.allocated();
      const [peer, other] = [await bench.peer(), await bench.peer(bench.server.addresses.otherPeer)];
      await client.permit(peer);
      client.send(other, PING);
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
      await client.permit(other);
      client.send(other, PONG);
      expectData((await other.next()).data, PONG);
    },
  ),
  rule('permission-in', 'RFC 8656 §9', 'MUST', 'what a peer without a permission sends is discarded', async (bench) => {
    const { client, relayed } = await bench.allocated();
    const [peer, other] = [await bench.peer(), await bench.peer(bench.server.addresses.otherPeer)];
    await client.permit(peer);
    other.send(PING, relayed);
    peer.send(PONG, relayed);
    expectData((await client.nextData()).data, PONG);
  }),
  rule(
    'permission-any-port',
    'RFC 8656 §9',
    'MUST',
    'a permission is for an address, whatever the port',
    async (bench) => {
      const { client, relayed } = await bench.allocated();
      const [peer, sibling] = [await bench.peer(), await bench.peer()];
      await client.permit({ address: peer.address, port: 1 });
      for (const each of [peer, sibling]) {
        client.send(each, PING);
        expectData((await each.next()).data, PING);
        each.send(PONG, relayed);
        expect((await client.nextData()).peer?.port === each.port, 'from another port');
      }
    },
  ),
  rule('permission-several', SECTION, 'MUST', 'one CreatePermission may name several peers', async (bench) => {
    const { client } = await bench.allocated();
    const peers = [await bench.peer(), await bench.peer(bench.server.addresses.otherPeer)];
    await client.permit(...peers);
    for (const peer of peers) {
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
    }
  }),
  rule('permission-again', 'RFC 8656 §9', 'MUST', 'a permission may be installed again', async (bench) => {
    const { client } = await bench.allocated();
    const peer = await bench.peer();
    await client.permit(peer);
    await client.permit(peer);
    client.send(peer, PING);
    expectData((await peer.next()).data, PING);
  }),
  rule(
    'permission-forbidden',
    SECTION,
    'MUST',
    'a peer the server is told to refuse is answered with 403',
    async (bench) => {
      const { client } = await bench.allocated();
      const forbidden = { address: bench.server.addresses.forbiddenPeer, port: 5000 };
      expectCode(await client.requestWithPeers(TYPE.createPermission, [forbidden]), 403);
    },
  ),
  rule(
    'permission-all-or-nothing',
    SECTION,
    'MUST',
    'with one refused peer among several, none is permitted',
    async (bench) => {
      const { client } = await bench.allocated();
      const [peer, other] = [await bench.peer(), await bench.peer(bench.server.addresses.otherPeer)];
      const forbidden = { address: bench.server.addresses.forbiddenPeer, port: 5000 };
      expectCode(await client.requestWithPeers(TYPE.createPermission, [peer, forbidden]), 403);
      client.send(peer, PING);
      await client.permit(other);
      client.send(other, PING);
      await other.next();
      await client.permit(peer);
      client.send(peer, PONG);
      expectData((await peer.next()).data, PONG);
    },
  ),
  rule('permission-no-peer', SECTION, 'MUST', 'CreatePermission without a peer is answered with 400', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.request(TYPE.createPermission), 400);
  }),
  rule('permission-malformed', SECTION, 'MUST', 'a malformed XOR-PEER-ADDRESS is answered with 400', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.request(TYPE.createPermission, bytes(ATTR.xorPeerAddress, 0, 1, 2, 3)), 400);
  }),
  rule(
    'permission-family',
    SECTION,
    'MUST',
    'an IPv6 peer of an IPv4 allocation is answered with 443',
    async (bench) => {
      const { client } = await bench.allocated();
      const ipv6 = { address: '::1', port: 5000 };
      expectCode(await client.requestWithPeers(TYPE.createPermission, [ipv6]), 443);
    },
  ),
  rule(
    'permission-none',
    'RFC 8656 §5',
    'MUST',
    'CreatePermission without an allocation is answered with 437',
    async (bench) => {
      const peer = { address: bench.server.addresses.peer, port: 5000 };
      expectCode(await (await bench.client()).requestWithPeers(TYPE.createPermission, [peer]), 437);
    },
  ),
  rule(
    'permission-own',
    'RFC 8656 §9',
    'MUST',
    'the permissions of one allocation say nothing about another’s',
    async (bench) => {
      const [mine, theirs] = [await bench.allocated(), await bench.allocated()];
      const [peer, other] = [await bench.peer(), await bench.peer(bench.server.addresses.otherPeer)];
      await mine.client.permit(peer);
      await theirs.client.permit(other);
      theirs.client.send(peer, PING);
      theirs.client.send(other, PING);
      await other.next();
      mine.client.send(peer, PONG);
      expectData((await peer.next()).data, PONG);
    },
  ),
];
