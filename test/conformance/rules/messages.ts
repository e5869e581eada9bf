import { randomBytes } from 'node:crypto';
import { type Rule, rule } from '../rule.ts';
import { ATTR, bytes, message, Received, TYPE, text, UDP } from '../wire/stun.ts';
import { expect, expectCode } from './expect.ts';

const BINDING = TYPE.bindingRequest;

/** A Binding request with one byte changed. */
function changed(at: number, value: number): Buffer {
  const request = message(BINDING, []);
  request[at] = value;
  return request;
}

/** Header, attributes, FINGERPRINT and Binding. */
export const messageRules: Rule[] = [
  rule('binding-address', 'RFC 8489 §3', 'MUST', 'Binding tells the client its own address and port', async (bench) => {
    const client = await bench.client();
    const response = await client.ask(message(BINDING, []));
    expect(response.type === 0x0101, 'the answer is not a Binding success response');
    const [mapped] = response.addresses(ATTR.xorMappedAddress);
    expect(mapped?.address === client.socket.local.address, 'another address');
    expect(mapped.port === client.socket.local.port, 'another port');
  }),
  rule(
    'error-code',
    'RFC 8489 §14.8',
    'MUST',
    'ERROR-CODE has a class of 3 to 6, a number below 100, and a reason phrase of less than 128 characters of UTF-8',
    async (bench) => {
      const client = await bench.client();
      const answers = [
        await client.ask(message(TYPE.allocate, [UDP])),
        await client.ask(message(BINDING, [bytes(0x7ffe)])),
        await client.request(TYPE.refresh),
        await client.request(TYPE.allocate),
      ];
      expect(answers.map(({ code }) => code).join() === '401,420,437,400', 'not the errors that were asked for');
      for (const value of answers.map((answer) => answer.value(ATTR.errorCode) ?? Buffer.alloc(0))) {
        const kind = value[2] as number;
        expect(kind >= 3 && kind <= 6 && (value[3] as number) < 100, 'a class or number that does not exist');
        const reason = new TextDecoder('utf-8', { fatal: true }).decode(value.subarray(4));
        expect([...reason].length < 128, 'a reason phrase that is too long');
      }
    },
  ),
  rule(
    'texts',
    'RFC 8489 §14.9, §14.10, §14.14',
    'MUST',
    'REALM, NONCE and SOFTWARE are UTF-8 of less than 128 characters',
    async (bench) => {
      const client = await bench.client();
      const challenge = await client.greet();
      const { response } = await client.allocate();
      for (const value of [ATTR.realm, ATTR.nonce, ATTR.software].flatMap((type) =>
        [challenge, response].flatMap((answer) => answer.value(type) ?? []),
      )) {
        const said = new TextDecoder('utf-8', { fatal: true }).decode(value);
        expect([...said].length < 128, 'a text that is too long');
      }
    },
  ),
  rule('binding-indication', 'RFC 8489 §6.3.2', 'MUST', 'a Binding indication is not answered', async (bench) =>
    (await bench.client()).expectSilence(message(TYPE.bindingIndication, [])),
  ),
  rule('header-cookie', 'RFC 8489 §6.3', 'MUST', 'a message without the magic cookie is discarded', async (bench) =>
    (await bench.client()).expectSilence(changed(4, 0x20)),
  ),
  rule(
    'header-first-bits',
    'RFC 8489 §6.3',
    'MUST',
    'a message whose first two bits are not 0 is discarded',
    async (bench) => (await bench.client()).expectSilence(changed(0, 0xc0), changed(0, 0x80)),
  ),
  rule('header-length-beyond', 'RFC 8489 §6.3', 'MUST', 'a length beyond the datagram is discarded', async (bench) =>
    (await bench.client()).expectSilence(changed(3, 8), changed(2, 0xff)),
  ),
  rule(
    'header-length-unaligned',
    'RFC 8489 §5',
    'MUST',
    'a length that is no multiple of 4 is discarded',
    async (bench) => (await bench.client()).expectSilence(Buffer.concat([changed(3, 2), Buffer.alloc(2)])),
  ),
  rule('header-truncated', 'RFC 8489 §5', 'MUST', 'anything shorter than a header is discarded', async (bench) => {
    const request = message(BINDING, []);
    const cuts = [0, 1, 2, 3, 4, 8, 19].map((length) => request.subarray(0, length));
    await (await bench.client()).expectSilence(...cuts);
  }),
  rule('header-method', 'RFC 8489 §6.3', 'MUST', 'a request of an unknown method is discarded', async (bench) =>
    (await bench.client()).expectSilence(message(0x0abc & ~0x0110, [])),
  ),
  rule('header-response', 'RFC 8489 §6.3.3', 'MUST', 'a response nobody asked for is discarded', async (bench) =>
    (await bench.client()).expectSilence(message(0x0101, []), message(0x0111, []), message(0x0103, [])),
  ),
  rule(
    'attribute-overrun',
    'RFC 8489 §6.3',
    'MUST',
    'an attribute that ends behind the message is not accepted',
    async (bench) => {
      const client = await bench.client();
      const request = message(BINDING, [text(ATTR.software, 'conformance!')]);
      request.writeUInt16BE(200, 22);
      client.raw(request);
      await client.ask(message(BINDING, []));
      const answer = client.received > 1 ? await client.reply(request.toString('hex', 8, 20)) : undefined;
      expect(!answer?.isSuccess, 'it succeeded');
    },
  ),
  rule(
    'unknown-required',
    'RFC 8489 §6.3.1',
    'MUST',
    'an unknown comprehension-required attribute is answered with 420 that names it',
    async (bench) => {
      const response = await (await bench.client()).ask(message(BINDING, [bytes(0x7777, 1, 2, 3)]));
      expectCode(response, 420);
      const named = response.value(ATTR.unknownAttributes);
      expect(named?.includes(Buffer.of(0x77, 0x77)) === true, 'UNKNOWN-ATTRIBUTES does not name it');
    },
  ),
  rule(
    'unknown-required-all',
    'RFC 8489 §14.13',
    'MUST',
    'UNKNOWN-ATTRIBUTES lists each unknown type',
    async (bench) => {
      const unknown = [bytes(0x7001), bytes(0x8777, 1), bytes(0x7002), bytes(0x7003)];
      const response = await (await bench.client()).ask(message(BINDING, unknown));
      const named = response.value(ATTR.unknownAttributes)?.toString('hex') ?? '';
      for (const type of ['7001', '7002', '7003']) expect(named.includes(type), `0x${type} is not named`);
      expect(!named.includes('8777'), 'a comprehension-optional type is named');
    },
  ),
  rule(
    'unknown-required-sealed',
    'RFC 8489 §6.3.1',
    'MUST',
    'an Allocate with an unknown required attribute is answered with 420 and makes nothing',
    async (bench) => {
      const client = await bench.client();
      expectCode(await client.request(TYPE.allocate, UDP, bytes(0x7777)), 420);
      expectCode(await client.request(TYPE.refresh), 437);
    },
  ),
  rule(
    'unknown-optional',
    'RFC 8489 §6.3.1',
    'MUST',
    'unknown comprehension-optional attributes are ignored',
    async (bench) => {
      const client = await bench.client();
      expectCode(await client.ask(message(BINDING, [bytes(0xc777, 1, 2, 3, 4, 5)])), 200);
      expectCode(await client.request(TYPE.allocate, UDP, bytes(0xc777)), 200);
    },
  ),
  rule('padding-ignored', 'RFC 8489 §14', 'MUST', 'padding bytes may have any value', async (bench) => {
    const request = message(BINDING, [text(ATTR.software, 'x')]);
    request.fill(0xff, 25, 28);
    expectCode(await (await bench.client()).ask(request), 200);
  }),
  rule('fingerprint-right', 'RFC 8489 §14.7', 'MUST', 'a right FINGERPRINT is accepted', async (bench) =>
    expectCode(await (await bench.client()).ask(message(BINDING, [], { fingerprint: true })), 200),
  ),
  rule(
    'fingerprint-wrong',
    'RFC 8489 §6.3',
    'MUST',
    'a message with a wrong FINGERPRINT is discarded',
    async (bench) => {
      const request = message(BINDING, [], { fingerprint: true });
      request[27] = (request[27] as number) ^ 1;
      await (await bench.client()).expectSilence(request);
    },
  ),
  rule('fingerprint-response', 'RFC 8489 §14.7', 'MUST', 'a FINGERPRINT in a response is right', async (bench) => {
    const response = await (await bench.client()).ask(message(BINDING, [], { fingerprint: true }));
    expect(!response.has(ATTR.fingerprint) || response.hasRightFingerprint, 'it is wrong');
  }),
  rule(
    'transaction-echo',
    'RFC 8489 §6.3.1.1',
    'MUST',
    'a response has its request’s transaction id, in order of nothing else',
    async (bench) => {
      const client = await bench.client();
      const ids = Array.from({ length: 20 }, () => randomBytes(12));
      for (const id of ids) client.raw(message(BINDING, [], {}, id));
      for (const id of ids) expect((await client.reply(id.toString('hex'))) instanceof Received, 'one is not answered');
      expect(client.received === ids.length, 'more answers than questions');
    },
  ),
];
