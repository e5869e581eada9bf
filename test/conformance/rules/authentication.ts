import { type Rule, rule } from '../rule.ts';
import {
  ATTR,
  type Attribute,
  bytes,
  lifetime,
  longTermKey,
  message,
  peerAddress,
  type Received,
  TYPE,
  text,
  UDP,
} from '../wire/stun.ts';
import { expect, expectCode } from './expect.ts';

const REST = 'draft-uberti-behave-turn-rest-00 §2.2';

/** A 401 or 438 must tell how to go on. */
function expectChallenge(response: Received, code: number): void {
  expectCode(response, code);
  expect(response.has(ATTR.realm), 'no REALM');
  expect(response.has(ATTR.nonce), 'no NONCE');
}

/** Long-term credentials. */
export const authenticationRules: Rule[] = [
  rule(
    'auth-challenge',
    'RFC 8489 §9.2.4',
    'MUST',
    'a request without credentials is answered with 401, REALM and NONCE',
    async (bench) => expectChallenge(await (await bench.client()).ask(message(TYPE.allocate, [UDP])), 401),
  ),
  rule(
    'auth-challenge-bare',
    'RFC 8489 §9.2.4',
    'SHOULD',
    'a 401 carries neither USERNAME nor MESSAGE-INTEGRITY',
    async (bench) => {
      const response = await (await bench.client()).ask(message(TYPE.allocate, [UDP]));
      expect(!response.has(ATTR.username) && !response.has(ATTR.messageIntegrity), 'it does');
    },
  ),
  rule(
    'auth-every-request',
    'RFC 8656 §5',
    'MUST',
    'Refresh, CreatePermission and ChannelBind are authenticated too',
    async (bench) => {
      const { client } = await bench.allocated();
      const peer = await bench.peer();
      expectCode(await client.ask(message(TYPE.refresh, [lifetime(0)])), 401);
      expectCode(await client.ask(message(TYPE.createPermission, [peerAddress(peer)])), 401);
      const channel = bytes(ATTR.channelNumber, 0x40, 0, 0, 0);
      expectCode(await client.ask(message(TYPE.channelBind, [channel, peerAddress(peer)])), 401);
      expectCode(await client.request(TYPE.refresh), 200);
    },
  ),
  ...(['username', 'realm', 'nonce'] as const).map((name) =>
    rule(
      `auth-without-${name}`,
      'RFC 8489 §9.2.4',
      'MUST',
      `MESSAGE-INTEGRITY without ${name.toUpperCase()} is answered with 400`,
      async (bench) => {
        const client = await bench.client();
        await client.greet();
        const all = { username: client.credentials.username, realm: client.realm, nonce: client.nonce.toString() };
        const present = Object.entries(all).filter(([key]) => key !== name);
        const attributes = present.map(([key, value]) => text(ATTR[key as keyof typeof all], value));
        const response = await client.ask(message(TYPE.allocate, [UDP, ...attributes], { key: client.key }));
        expectCode(response, 400);
        expect(!response.has(ATTR.nonce) && !response.has(ATTR.realm), 'it carries REALM or NONCE');
      },
    ),
  ),
  rule(
    'auth-wrong-password',
    'RFC 8489 §9.2.4',
    'MUST',
    'a wrong key is answered with 401, REALM and NONCE',
    async (bench) => {
      const { username } = bench.server.credentials();
      const client = await bench.client({ credentials: { username, password: 'wrong' } });
      expectChallenge(await client.request(TYPE.allocate, UDP), 401);
    },
  ),
  rule(
    'auth-flipped-integrity',
    'RFC 8489 §9.2.4',
    'MUST',
    'a MESSAGE-INTEGRITY with one bit changed is answered with 401',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      const request = client.sealed(TYPE.allocate, [UDP]);
      request[request.length - 1] = (request.at(-1) as number) ^ 1;
      expectCode(await client.ask(request), 401);
    },
  ),
  rule(
    'auth-changed-attribute',
    'RFC 8489 §9.2.4',
    'MUST',
    'a request changed after it was sealed is answered with 401',
    async (bench) => {
      const { client } = await bench.allocated();
      const request = client.sealed(TYPE.refresh, [lifetime(600)]);
      request.writeUInt32BE(0, 24);
      expectCode(await client.ask(request), 401);
      expectCode(await client.request(TYPE.refresh), 200);
    },
  ),
  rule(
    'auth-unknown-user',
    'RFC 8489 §9.2.4',
    'MUST',
    'an unknown username is answered with 401, REALM and NONCE',
    async (bench) => {
      const client = await bench.client({ credentials: { username: 'nobody', password: 'x' } });
      expectChallenge(await client.request(TYPE.allocate, UDP), 401);
    },
  ),
  ...['constructor', 'toString', '__proto__', 'hasOwnProperty'].map((username) =>
    rule(
      `auth-user-${username}`,
      'RFC 8489 §9.2.4',
      'MUST',
      `nobody gets in as \`${username}\` with the text of that member`,
      async (bench) => {
        const member = String(({} as Record<string, unknown>)[username]);
        for (const password of [member, '', 'undefined']) {
          const client = await bench.client({ credentials: { username, password } });
          expectCode(await client.request(TYPE.allocate, UDP), 401);
        }
      },
    ),
  ),
  rule('auth-empty-user', 'RFC 8489 §9.2.4', 'MUST', 'an empty username gets nothing', async (bench) => {
    const client = await bench.client({ credentials: { username: '', password: '' } });
    expectCode(await client.request(TYPE.allocate, UDP), 400, 401);
  }),
  rule(
    'auth-long-user',
    'RFC 8489 §14.3',
    'MUST',
    'a username of 1000 bytes gets nothing, and harms nothing',
    async (bench) => {
      const client = await bench.client({ credentials: { username: '9'.repeat(1000), password: 'x' } });
      await client.greet();
      client.raw(client.sealed(TYPE.allocate, [UDP]));
      expectCode(await client.request(TYPE.bindingRequest), 200);
      expectCode(await (await bench.client()).request(TYPE.allocate, UDP), 200);
    },
  ),
  rule(
    'auth-wrong-realm',
    'RFC 8489 §9.2.2',
    'MUST',
    'a key made with another realm is answered with 401',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      client.realm = 'elsewhere.example';
      expectCode(await client.ask(client.sealed(TYPE.allocate, [UDP])), 401);
    },
  ),
  rule('rest-expired', REST, 'MUST', 'an expired REST username makes no allocation', async (bench) => {
    const client = await bench.client({ credentials: bench.server.credentials(0, -10) });
    expectCode(await client.request(TYPE.allocate, UDP), 401);
  }),
  rule('rest-tampered', REST, 'MUST', 'a REST username with a later expiry needs another password', async (bench) => {
    const { username, password } = bench.server.credentials();
    const later = `9${username.slice(1)}`;
    const client = await bench.client({ credentials: { username: later, password } });
    expectCode(await client.request(TYPE.allocate, UDP), 401);
  }),
  rule(
    'nonce-stale',
    'RFC 8489 §9.2.4',
    'MUST',
    'a nonce the server never gave is answered with 438, REALM and a NONCE that works',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      client.nonce = Buffer.from('0'.repeat(client.nonce.length));
      const response = await client.ask(client.sealed(TYPE.allocate, [UDP]));
      expectChallenge(response, 438);
      client.nonce = response.value(ATTR.nonce) as Buffer;
      expectCode(await client.ask(client.sealed(TYPE.allocate, [UDP])), 200);
    },
  ),
  rule(
    'nonce-altered',
    'RFC 8489 §9.2.4',
    'MUST',
    'a nonce with one character changed is answered with 438',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      const nonce = Buffer.from(client.nonce);
      const last = nonce.length - 2;
      nonce[last] = nonce[last] === 0x41 ? 0x42 : 0x41;
      client.nonce = nonce;
      expectCode(await client.ask(client.sealed(TYPE.allocate, [UDP])), 438);
    },
  ),
  rule(
    'nonce-per-port',
    'RFC 8489 §9.2.4',
    'MUST',
    'clients on two ports are not given the same nonce',
    async (bench) => {
      const [one, two] = [await bench.client(), await bench.client()];
      await Promise.all([one.greet(), two.greet()]);
      expect(!one.nonce.equals(two.nonce), 'they are');
    },
  ),
  rule('nonce-reused', 'RFC 8489 §9.2', 'SHOULD', 'a nonce serves several requests', async (bench) => {
    const { client } = await bench.allocated();
    for (let n = 0; n < 5; n++) expectCode(await client.request(TYPE.refresh), 200);
  }),
  rule(
    'nonce-quality',
    'RFC 7616 §5.4',
    'SHOULD',
    'a nonce is at most 128 characters and cannot be guessed from another',
    async (bench) => {
      const clients = await Promise.all(Array.from({ length: 4 }, () => bench.client()));
      for (const client of clients) await client.greet();
      for (const { nonce } of clients) expect(nonce.length >= 16 && nonce.length < 128, `it has ${nonce.length} bytes`);
    },
  ),
  rule(
    'integrity-success',
    'RFC 8489 §9.2.4',
    'MUST',
    'success responses carry a right MESSAGE-INTEGRITY',
    async (bench) => {
      const { client } = await bench.allocated();
      const peer = await bench.peer();
      expect((await client.request(TYPE.refresh)).isSealedWith(client.key), 'not to Refresh');
      const permitted = await client.requestWithPeers(TYPE.createPermission, [peer]);
      expect(permitted.isSealedWith(client.key), 'not to CreatePermission');
      expect((await client.bind(0x4000, peer)).isSealedWith(client.key), 'not to ChannelBind');
    },
  ),
  rule(
    'integrity-error',
    'RFC 8489 §9.2.4',
    'MUST',
    'error responses to an authenticated request carry a right MESSAGE-INTEGRITY',
    async (bench) => {
      const client = await bench.client();
      const response = await client.request(TYPE.refresh);
      expectCode(response, 437);
      expect(response.isSealedWith(client.key), 'not to 437');
      const bad = await client.request(TYPE.allocate);
      expectCode(bad, 400);
      expect(bad.isSealedWith(client.key), 'not to 400');
    },
  ),
  rule(
    'integrity-fingerprint',
    'RFC 8489 §14.5',
    'MUST',
    'MESSAGE-INTEGRITY is right with a FINGERPRINT behind it, both ways',
    async (bench) => {
      const client = await bench.client();
      await client.greet();
      const response = await client.ask(client.sealed(TYPE.allocate, [UDP], { fingerprint: true }));
      expectCode(response, 200);
      expect(response.isSealedWith(client.key), 'the response’s is not');
      expect(!response.has(ATTR.fingerprint) || response.hasRightFingerprint, 'the response’s FINGERPRINT is not');
    },
  ),
  rule(
    'integrity-after',
    'RFC 8489 §14.5',
    'MUST',
    'attributes behind MESSAGE-INTEGRITY are ignored',
    async (bench) => {
      const { client } = await bench.allocated();
      const after = (...attributes: Attribute[]) => client.ask(client.sealed(TYPE.refresh, [], { after: attributes }));
      expectCode(await after(lifetime(0)), 200);
      expectCode(await after(bytes(0x7777, 1)), 200);
      expectCode(await client.request(TYPE.refresh), 200);
    },
  ),
  rule(
    'credentials-441',
    'RFC 8656 §5',
    'MUST',
    'another user’s request on an allocation is answered with 441',
    async (bench) => {
      const { client } = await bench.allocated();
      const { username, password } = bench.server.credentials(1);
      const key = longTermKey(username, client.realm, password);
      const named = [
        text(ATTR.username, username),
        text(ATTR.realm, client.realm),
        [ATTR.nonce, client.nonce] as const,
      ];
      for (const type of [TYPE.refresh, TYPE.createPermission]) {
        const peer = peerAddress({ address: bench.server.addresses.peer, port: 5000 });
        expectCode(await client.ask(message(type, type === TYPE.refresh ? named : [peer, ...named], { key })), 441);
      }
      expectCode(await client.request(TYPE.refresh), 200);
    },
  ),
  rule(
    'amplification',
    'after RFC 9000 §8.1',
    'SHOULD',
    'no answer to an unauthenticated datagram is larger than three times it',
    async (bench) => {
      const requests = [
        message(TYPE.bindingRequest, []),
        message(
          TYPE.bindingRequest,
          Array.from({ length: 100 }, (_, n) => bytes(0x7000 + n)),
        ),
        message(TYPE.allocate, []),
        message(TYPE.allocate, [UDP]),
        message(TYPE.refresh, []),
        message(TYPE.channelBind, []),
        message(TYPE.allocate, [text(ATTR.username, 'x')], { key: Buffer.from('x') }),
      ];
      for (const request of requests) {
        const client = await bench.client();
        client.raw(request);
        await client.ask(message(TYPE.bindingRequest, []));
        const answer = client.received > 1 ? await client.reply(request.toString('hex', 8, 20)) : undefined;
        const size = answer?.raw.length ?? 0;
        expect(size <= 3 * request.length, `${size} bytes to ${request.length}`);
      }
    },
  ),
];
