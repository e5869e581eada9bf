import { type Rule, rule } from '../rule.ts';
import { ATTR, bytes, channelData, channelNumber, peerAddress, TYPE } from '../wire/stun.ts';
import { expect, expectCode, expectData } from './expect.ts';

const BIND = 'RFC 8656 §12.2';
const DATA = 'RFC 8656 §12.6';
const RELAY = 'RFC 8656 §12.7';
const PING = Buffer.from('ping');
const PONG = Buffer.from('pong');

/** ChannelBind and ChannelData. */
export const channelRules: Rule[] = [
  ...(
    [
      ['channel-0x4000', BIND, 'MUST', 'channel 0x4000 can be bound and carries data both ways', [0x4000]],
      ['channel-0x4fff', BIND, 'MUST', 'channel 0x4fff can be bound and carries data both ways', [0x4fff]],
      [
        'channel-rfc5766',
        'RFC 5766 §11, against RFC 8656 §12',
        'SHOULD',
        'channels 0x5000 to 0x7ffe can be bound and carry data both ways, though RFC 8656 keeps them for other protocols: ' +
          'clients of RFC 5766, coturn’s among them, pick them, and no other protocol shares the port',
        [0x5000, 0x6789, 0x7ffe],
      ],
    ] as const
  ).map(([id, source, level, says, channels]) =>
    rule(id, source, level, says, async (bench) => {
      for (const channel of channels) {
        const { client, relayed, peer } = await bench.bound({}, channel);
        client.channelData(channel, PING);
        const arrived = await peer.next();
        expectData(arrived.data, PING);
        expect(
          arrived.from.port === relayed.port && arrived.from.address === relayed.address,
          'not from the relayed address',
        );
        peer.send(PONG, relayed);
        const back = await client.nextData();
        expect(back.channel === channel, 'the answer is not on the channel');
        expectData(back.data, PONG);
      }
    }),
  ),
  ...([0x0001, 0x3fff, 0x7fff, 0x8000, 0xffff] as const).map((channel) =>
    rule(
      `channel-0x${channel.toString(16).padStart(4, '0')}`,
      BIND,
      'MUST',
      `channel 0x${channel.toString(16).padStart(4, '0')} is answered with 400`,
      async (bench) => {
        const { client } = await bench.allocated();
        expectCode(await client.bind(channel, await bench.peer()), 400);
      },
    ),
  ),
  rule('channel-taken', BIND, 'MUST', 'a channel bound to another peer is answered with 400', async (bench) => {
    const { client } = await bench.bound();
    expectCode(await client.bind(0x4000, await bench.peer()), 400);
  }),
  rule('channel-peer-taken', BIND, 'MUST', 'a peer bound to another channel is answered with 400', async (bench) => {
    const { client, peer } = await bench.bound();
    expectCode(await client.bind(0x4001, peer), 400);
  }),
  rule('channel-again', BIND, 'MUST', 'the same binding again refreshes it', async (bench) => {
    const { client, peer } = await bench.bound();
    expectCode(await client.bind(0x4000, peer), 200);
    client.channelData(0x4000, PING);
    expectData((await peer.next()).data, PING);
  }),
  rule('channel-no-number', BIND, 'MUST', 'ChannelBind without CHANNEL-NUMBER is answered with 400', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.requestWithPeers(TYPE.channelBind, [await bench.peer()]), 400);
  }),
  rule('channel-no-peer', BIND, 'MUST', 'ChannelBind without XOR-PEER-ADDRESS is answered with 400', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.request(TYPE.channelBind, channelNumber(0x4000)), 400);
  }),
  rule('channel-malformed-number', BIND, 'MUST', 'a malformed CHANNEL-NUMBER is answered with 400', async (bench) => {
    const { client } = await bench.allocated();
    const peer = await bench.peer();
    for (const number of [[], [0x40, 0], [0x40, 0, 0, 0, 0]]) {
      const response = await client.requestWithPeers(TYPE.channelBind, [peer], bytes(ATTR.channelNumber, ...number));
      expectCode(response, 400);
    }
  }),
  rule('channel-malformed-peer', BIND, 'MUST', 'a malformed XOR-PEER-ADDRESS is answered with 400', async (bench) => {
    const { client } = await bench.allocated();
    for (const peer of [[], [0, 1, 0, 0], [0, 1, 0, 0, 1, 2, 3], [0, 3, 0, 0, 1, 2, 3, 4]]) {
      const request = client.request(TYPE.channelBind, channelNumber(0x4000), bytes(ATTR.xorPeerAddress, ...peer));
      expectCode(await request, 400);
    }
  }),
  rule('channel-forbidden', BIND, 'MUST', 'a peer the server is told to refuse is answered with 403', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.bind(0x4000, { address: bench.server.addresses.forbiddenPeer, port: 5000 }), 403);
  }),
  rule('channel-family', BIND, 'MUST', 'an IPv6 peer of an IPv4 allocation is answered with 443', async (bench) => {
    const { client } = await bench.allocated();
    expectCode(await client.bind(0x4000, { address: '::1', port: 5000 }), 443);
  }),
  rule('channel-none', 'RFC 8656 §5', 'MUST', 'ChannelBind without an allocation is answered with 437', async (bench) =>
    expectCode(await (await bench.client()).bind(0x4000, { address: bench.server.addresses.peer, port: 5000 }), 437),
  ),
  rule(
    'channel-permits',
    BIND,
    'MUST',
    'ChannelBind installs the permission too, for every port of the peer',
    async (bench) => {
      const { client, relayed } = await bench.bound();
      const sibling = await bench.peer();
      client.send(sibling, PING);
      expectData((await sibling.next()).data, PING);
      sibling.send(PONG, relayed);
      const { peer } = await client.nextData();
      expect(peer?.port === sibling.port, 'a peer without a channel is not told by Data indication');
    },
  ),
  rule(
    'channel-own',
    'RFC 8656 §12',
    'MUST',
    'two allocations may use one channel number for two peers',
    async (bench) => {
      const [mine, theirs] = [await bench.bound(), await bench.bound()];
      mine.client.channelData(0x4000, PING);
      theirs.client.channelData(0x4000, PONG);
      expectData((await mine.peer.next()).data, PING);
      expectData((await theirs.peer.next()).data, PONG);
    },
  ),
  rule('channel-unbound', DATA, 'MUST', 'ChannelData on an unbound channel is discarded', async (bench) => {
    const { client, peer } = await bench.bound();
    await client.expectSilence(channelData(0x4001, PONG, false));
    client.channelData(0x4000, PING);
    expectData((await peer.next()).data, PING);
  }),
  rule('channel-stranger', DATA, 'MUST', 'ChannelData of a client without an allocation is discarded', async (bench) =>
    (await bench.client()).expectSilence(channelData(0x4000, PING, false)),
  ),
  rule('channel-too-short', DATA, 'MUST', 'ChannelData shorter than its length says is discarded', async (bench) => {
    const { client, peer } = await bench.bound();
    await client.expectSilence(Buffer.of(0x40), Buffer.of(0x40, 0, 0), Buffer.of(0x40, 0, 0, 9, 1, 2, 3));
    client.channelData(0x4000, PING);
    expectData((await peer.next()).data, PING);
  }),
  rule(
    'channel-reserved',
    'RFC 8656 §12',
    'MUST',
    'bytes that are neither STUN nor ChannelData of a bound channel are discarded',
    async (bench) => {
      const { client, peer } = await bench.bound();
      await client.expectSilence(...[0x50, 0x7f, 0x80, 0xff].map((first) => Buffer.of(first, 0, 0, 1, 9)));
      client.channelData(0x4000, PING);
      expectData((await peer.next()).data, PING);
    },
  ),
  rule(
    'channel-padded',
    'RFC 8656 §12.5',
    'MUST',
    'padding behind ChannelData over UDP is not passed on',
    async (bench) => {
      const { client, peer } = await bench.bound();
      client.raw(channelData(0x4000, PING.subarray(0, 1), true));
      expectData((await peer.next()).data, PING.subarray(0, 1));
    },
  ),
  rule('channel-empty', 'RFC 8656 §12.4', 'MUST', 'empty data is passed on, both ways', async (bench) => {
    const { client, relayed, peer } = await bench.bound();
    client.channelData(0x4000, Buffer.alloc(0));
    expectData((await peer.next()).data, Buffer.alloc(0));
    peer.send(Buffer.alloc(0), relayed);
    expectData((await client.nextData()).data, Buffer.alloc(0));
  }),
  rule('channel-sizes', RELAY, 'MUST', 'data of 1 to 1400 bytes is passed on unchanged, both ways', async (bench) => {
    const { client, relayed, peer } = await bench.bound();
    for (const size of [1, 2, 3, 4, 5, 160, 1200, 1399, 1400]) {
      const data = Buffer.alloc(size, size);
      client.channelData(0x4000, data);
      expectData((await peer.next()).data, data);
      peer.send(data, relayed);
      expectData((await client.nextData()).data, data);
    }
  }),
  rule(
    'channel-lookalike',
    RELAY,
    'MUST',
    'peer data that looks like ChannelData or STUN is passed on unchanged',
    async (bench) => {
      const { client, relayed, peer } = await bench.bound();
      const lookalikes = [
        channelData(0x4000, PING, false),
        channelData(0x4001, PING, true),
        Buffer.of(0x40),
        Buffer.alloc(20),
      ];
      for (const data of lookalikes) {
        peer.send(data, relayed);
        const back = await client.nextData();
        expect(back.channel === 0x4000, 'it is not on the channel');
        expectData(back.data, data);
      }
    },
  ),
  rule('channel-send', 'RFC 8656 §11.1', 'MUST', 'Send works with a channel bound to the peer', async (bench) => {
    const { client, peer } = await bench.bound();
    client.send(peer, PING);
    expectData((await peer.next()).data, PING);
  }),
  rule(
    'channel-number-rffu',
    'RFC 8656 §18.1',
    'MUST',
    'the reserved half of CHANNEL-NUMBER is ignored',
    async (bench) => {
      const { client } = await bench.allocated();
      const peer = await bench.peer();
      const number = bytes(ATTR.channelNumber, 0x40, 0, 0xff, 0xff);
      expectCode(await client.request(TYPE.channelBind, number, peerAddress(peer)), 200);
    },
  ),
];
