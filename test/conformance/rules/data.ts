import { randomBytes } from 'node:crypto';
import { type Rule, rule } from '../rule.ts';
import type { Client, RelayedData } from '../wire/client.ts';
import {
  ATTR,
  type Attribute,
  bytes,
  type Endpoint,
  FAMILY,
  message,
  peerAddress,
  requestedFamily,
  TYPE,
  UDP,
} from '../wire/stun.ts';
import { expect, expectData } from './expect.ts';

const SEND = 'RFC 8656 §11.2';
const DATA = 'RFC 8656 §11.3';
const PING = Buffer.from('ping');
const PONG = Buffer.from('pong');
/** Values of ICMP: two bytes of nothing, seven bits of type, nine of code, and four bytes that only MTUs need. */
const PORT_UNREACHABLE = Buffer.of(0, 0, 3 << 1, 3, 0, 0, 0, 0);
const PORT_UNREACHABLE_IPV6 = Buffer.of(0, 0, 1 << 1, 4, 0, 0, 0, 0);

/** Send and Data indications. */
export const dataRules: Rule[] = [
  rule(
    'send-data',
    `${SEND}, §11.3`,
    'MUST',
    'Send reaches the peer from the relayed address, and its answer comes back as Data',
    async (bench) => {
      const { client, relayed } = await bench.allocated();
      const peer = await bench.peer();
      await client.permit(peer);
      client.send(peer, PING);
      const { data, from } = await peer.next();
      expectData(data, PING);
      expect(from.address === relayed.address && from.port === relayed.port, 'not from the relayed address');
      peer.send(PONG, relayed);
      const back = await client.nextData();
      expect(back.peer?.address === peer.address && back.peer.port === peer.port, 'another XOR-PEER-ADDRESS');
      expectData(back.data, PONG);
    },
  ),
  rule('send-sizes', SEND, 'MUST', 'data of 0 to 1400 bytes is passed on unchanged, both ways', async (bench) => {
    const { client, relayed } = await bench.allocated();
    const peer = await bench.peer();
    await client.permit(peer);
    for (const size of [0, 1, 2, 3, 5, 160, 1200, 1400]) {
      const data = Buffer.alloc(size, size);
      client.send(peer, data);
      expectData((await peer.next()).data, data);
      peer.send(data, relayed);
      expectData((await client.nextData()).data, data);
    }
  }),
  rule(
    'data-lookalike',
    DATA,
    'MUST',
    'peer data that looks like ChannelData or STUN comes as Data, unchanged',
    async (bench) => {
      const { client, relayed } = await bench.allocated();
      const peer = await bench.peer();
      await client.permit(peer);
      for (const data of [Buffer.of(0x40, 0, 0, 1, 9), Buffer.of(0x40), message(TYPE.bindingRequest, [])]) {
        peer.send(data, relayed);
        expectData((await client.nextData()).data, data);
      }
    },
  ),
  ...(
    [
      ['send-no-data', 'Send without DATA is discarded', () => []],
      [
        'send-unknown',
        'Send with an unknown comprehension-required attribute is discarded',
        () => [[ATTR.data, PONG], bytes(0x7777)],
      ],
    ] as [string, string, () => Attribute[]][]
  ).map(([id, says, rest]) =>
    rule(id, SEND, 'MUST', says, async (bench) => {
      const { client } = await bench.allocated();
      const peer = await bench.peer();
      await client.permit(peer);
      await client.expectSilence(message(TYPE.send, [peerAddress(peer), ...rest()]));
      client.send(peer, PING);
      expectData((await peer.next()).data, PING);
    }),
  ),
  rule('send-no-peer', SEND, 'MUST', 'Send without XOR-PEER-ADDRESS is discarded', async (bench) => {
    const { client } = await bench.allocated();
    await client.expectSilence(message(TYPE.send, [[ATTR.data, PING]]));
  }),
  rule('send-stranger', 'RFC 8656 §5', 'MUST', 'Send of a client without an allocation is discarded', async (bench) => {
    const peer = { address: bench.server.addresses.peer, port: 5000 };
    await (await bench.client()).expectSilence(message(TYPE.send, [peerAddress(peer), [ATTR.data, PING]]));
  }),
  rule(
    'send-optional',
    'RFC 8489 §6.3.2',
    'MUST',
    'unknown comprehension-optional attributes of Send are ignored',
    async (bench) => {
      const { client } = await bench.allocated();
      const peer = await bench.peer();
      await client.permit(peer);
      client.send(peer, PING, bytes(0xc777, 1, 2, 3));
      expectData((await peer.next()).data, PING);
    },
  ),
  rule(
    'send-credentials',
    'RFC 8489 §9.2.3',
    'MUST',
    'Send that carries the attributes of credentials is passed on: they are known, and mean nothing in an indication',
    async (bench) => {
      const { client } = await bench.allocated();
      const peer = await bench.peer();
      await client.permit(peer);
      client.send(peer, PING, [ATTR.username, Buffer.from('anybody')], [ATTR.realm, Buffer.from('anywhere')]);
      expectData((await peer.next()).data, PING);
    },
  ),
  rule(
    'send-dont-fragment',
    SEND,
    'MUST',
    'Send with DONT-FRAGMENT is passed on where Allocate takes it, and discarded elsewhere',
    async (bench) => {
      const client = await bench.client();
      const supported = (await client.request(TYPE.allocate, UDP, bytes(ATTR.dontFragment))).isSuccess;
      if (!supported) await client.allocate();
      const peer = await bench.peer();
      await client.permit(peer);
      client.send(peer, PONG, bytes(ATTR.dontFragment));
      client.send(peer, PING);
      expectData((await peer.next()).data, supported ? PONG : PING);
    },
  ),
  rule('data-indication', DATA, 'MUST', 'a Data indication is a whole message with an id of its own', async (bench) => {
    const { client, relayed } = await bench.allocated();
    const peer = await bench.peer();
    await client.permit(peer);
    const sent = Array.from({ length: 10 }, () => randomBytes(40));
    for (const data of sent) peer.send(data, relayed);
    const received: RelayedData[] = [];
    while (received.length < sent.length) received.push(await client.nextData());
    for (const data of sent)
      expect(
        received.some((each) => each.data.equals(data)),
        'one is not what was sent',
      );
    expect(new Set(received.map(({ id }) => id)).size === sent.length, 'an id comes twice');
  }),
  rule(
    'icmp-error',
    'RFC 8656 §11.5, §18.13',
    'MUST',
    'an ICMP error of a permitted peer comes as a Data indication with ICMP and the peer, without DATA',
    async (bench) => {
      const { client } = await bench.allocated();
      await expectIcmp(client, await bench.gonePeer(), PORT_UNREACHABLE);
    },
  ),
  rule(
    'icmp-error-ipv6',
    'RFC 8656 §11.5, §18.13',
    'MUST',
    'an ICMPv6 error of a permitted peer comes so too, with the numbers of ICMPv6',
    async (bench) => {
      const { client } = await bench.allocated({}, requestedFamily(FAMILY.ipv6));
      await expectIcmp(client, await bench.gonePeer('::1'), PORT_UNREACHABLE_IPV6);
    },
    { needs: ['ipv6'] },
  ),
  rule(
    'icmp-error-harmless',
    'RFC 8656 §11.2',
    'MUST',
    'a peer that answers with ICMP errors costs no data to another one',
    async (bench) => {
      const { client } = await bench.allocated();
      const gone = await bench.gonePeer();
      const peer = await bench.peer();
      await client.permit(peer);
      for (let n = 0; n < 20; n++) {
        client.send(gone, PING);
        client.send(peer, Buffer.of(n));
        expectData((await peer.next()).data, Buffer.of(n));
      }
    },
  ),
];

async function expectIcmp(client: Client, gone: Endpoint, icmp: Buffer): Promise<void> {
  await client.permit(gone);
  client.send(gone, PING);
  const error = await client.nextError();
  expect(error.peer.address === gone.address && error.peer.port === gone.port, 'another XOR-PEER-ADDRESS');
  expectData(error.icmp, icmp);
  expect(!error.indication.has(ATTR.data), 'it has DATA');
}
