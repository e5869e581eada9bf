import { once } from 'node:events';
import { connect } from 'node:tls';
import { type Rule, rule } from '../rule.ts';
import { ATTR, channelData, message, TYPE, UDP } from '../wire/stun.ts';
import { expect, expectCode, expectData } from './expect.ts';

const FRAMING = 'RFC 8656 §2.1, §12.5';
const PING = Buffer.from('ping!');
const PONG = Buffer.from('pong…');

/** The same over TCP and over TLS. */
function overStreams(transport: 'tcp' | 'tls'): Rule[] {
  const options = { needs: [transport] };
  const name = transport.toUpperCase();
  return [
    rule(
      `${transport}-binding`,
      'RFC 8489 §6.2.2',
      'MUST',
      `Binding over ${name}`,
      async (bench) => {
        const client = await bench.client({ transport });
        const response = await client.ask(message(TYPE.bindingRequest, []));
        expect(response.addresses(ATTR.xorMappedAddress)[0]?.port === client.socket.local.port, 'another port');
      },
      options,
    ),
    rule(
      `${transport}-relay`,
      FRAMING,
      'MUST',
      `channels carry data of any length both ways over ${name}, padded to 4 bytes`,
      async (bench) => {
        const { client, relayed, peer } = await bench.bound({ transport });
        for (const size of [0, 1, 2, 3, 4, 5, 160, 1399]) {
          const data = Buffer.alloc(size, size);
          client.channelData(0x4000, data);
          expectData((await peer.next()).data, data);
          peer.send(data, relayed);
          const back = await client.nextData();
          expect(back.channel === 0x4000, 'not on the channel');
          expectData(back.data, data);
        }
      },
      options,
    ),
    rule(
      `${transport}-send-data`,
      'RFC 8656 §11',
      'MUST',
      `Send and Data over ${name}`,
      async (bench) => {
        const { client, relayed } = await bench.allocated({ transport });
        const peer = await bench.peer();
        await client.permit(peer);
        client.send(peer, PING);
        expectData((await peer.next()).data, PING);
        peer.send(PONG, relayed);
        expectData((await client.nextData()).data, PONG);
      },
      options,
    ),
    rule(
      `${transport}-split`,
      FRAMING,
      'MUST',
      `messages may be cut anywhere on ${name}`,
      async (bench) => {
        const client = await bench.client({ transport });
        await client.greet();
        const request = client.sealed(TYPE.allocate, [UDP]);
        for (const byte of request) client.raw(Buffer.of(byte));
        expectCode((await client.reply(request.toString('hex', 8, 20))) ?? (await client.ask(request)), 200);
        const peer = await bench.peer();
        expectCode(await client.bind(0x4000, peer), 200);
        for (const byte of channelData(0x4000, PING, true)) client.raw(Buffer.of(byte));
        expectData((await peer.next()).data, PING);
      },
      options,
    ),
    rule(
      `${transport}-joined`,
      FRAMING,
      'MUST',
      `several messages may come in one piece on ${name}`,
      async (bench) => {
        const { client, peer } = await bench.bound({ transport });
        const refresh = client.sealed(TYPE.refresh, []);
        const binding = message(TYPE.bindingRequest, []);
        client.raw(Buffer.concat([channelData(0x4000, PING, true), refresh, channelData(0x4000, PONG, true), binding]));
        for (const request of [refresh, binding]) {
          expect((await client.reply(request.toString('hex', 8, 20)))?.isSuccess === true, 'one is not answered');
        }
        expectData((await peer.next()).data, PING);
        expectData((await peer.next()).data, PONG);
      },
      options,
    ),
    rule(
      `${transport}-garbage`,
      'RFC 8489 §6.3',
      'SHOULD',
      `bytes that are neither STUN nor ChannelData end a ${name} connection`,
      async (bench) => {
        const client = await bench.client({ transport });
        client.raw(
          Buffer.from('\xff\xfe garbage that goes on for a while, so that nobody waits for more'.repeat(8), 'latin1'),
        );
        await client.expectClosed();
      },
      options,
    ),
    rule(
      `${transport}-no-cookie`,
      'RFC 8489 §6.3',
      'SHOULD',
      `a message without the magic cookie ends a ${name} connection`,
      async (bench) => {
        const client = await bench.client({ transport });
        const request = message(TYPE.bindingRequest, []);
        request[4] = 0;
        client.raw(request);
        await client.expectClosed();
      },
      options,
    ),
    rule(
      `${transport}-close`,
      'RFC 8656 §3.2',
      'SHOULD',
      `a closed ${name} connection ends its allocation and closes the relay port`,
      async (bench) => {
        const { client, relayed } = await bench.allocated({ transport });
        await client.close();
        expect(await bench.isFree(relayed), 'it is still bound');
      },
      options,
    ),
    rule(
      `${transport}-own-5-tuple`,
      'RFC 8656 §5',
      'MUST',
      `a ${name} client and a UDP client are two 5-tuples`,
      async (bench) => {
        const { client } = await bench.allocated({ transport });
        const udp = await bench.client();
        expectCode(await udp.request(TYPE.refresh), 437);
        expectCode(await client.request(TYPE.allocate, UDP), 437);
      },
      options,
    ),
  ];
}

/** TCP and TLS. */
export const streamRules: Rule[] = [
  ...overStreams('tcp'),
  ...overStreams('tls'),
  rule(
    'tls-alpn',
    'RFC 7443 §3',
    'SHOULD',
    'TLS agrees on the protocol stun.turn',
    async (bench) => {
      const { socket } = await bench.client({ transport: 'tls' });
      expect(socket.alpn === 'stun.turn', `it agrees on ${socket.alpn ?? 'nothing'}`);
    },
    { needs: ['tls'] },
  ),
  rule(
    'tls-version',
    'RFC 8996 §5',
    'MUST',
    'TLS 1.1 is refused',
    async (bench) => {
      const { address: host, tlsPort: port } = bench.server;
      // OpenSSL itself says no to such old versions unless the level of security is 0.
      const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      const socket = connect({ host, port, rejectUnauthorized: false, ...old });
      const refused = await once(socket, 'secureConnect').then(
        () => false,
        () => true,
      );
      socket.destroy();
      expect(refused, 'it is accepted');
    },
    { needs: ['tls'] },
  ),
];
