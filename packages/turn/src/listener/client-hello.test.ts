import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ClientHello, readClientHello } from './client-hello.ts';

/** What OpenSSL sends as its first flight. */
async function realHello(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ ...(server.address() as { port: number }), host: '127.0.0.1', ...options });
  client.on('error', () => undefined);
  const [connection] = (await once(server, 'connection')) as [Socket];
  const chunks: Buffer[] = [];
  for (;;) {
    chunks.push(((await once(connection, 'data')) as [Buffer])[0]);
    if (!('more' in Object(readClientHello(Buffer.concat(chunks))))) break;
  }
  connection.destroy();
  client.destroy();
  server.close();
  return Buffer.concat(chunks);
}

const NAME = 'turn.ns-demo.example.com';
const hello = await realHello({ servername: NAME, ALPNProtocols: ['h2', 'http/1.1'] });
/** Its handshake message without record headers; OpenSSL sends one record. */
const message = hello.subarray(5);

function records(fragments: readonly Buffer[]): Buffer {
  return Buffer.concat(
    fragments.flatMap((fragment) => [Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 255]), fragment]),
  );
}
const expected: ClientHello = { serverName: NAME, protocols: ['h2', 'http/1.1'] };

test.each([
  ['TLS 1.3', { servername: 'A.Example.COM' }, { serverName: 'a.example.com', protocols: [] }],
  ['TLS 1.2', { servername: 'a.b', maxVersion: 'TLSv1.2' }, { serverName: 'a.b', protocols: [] }],
  ['no name', { ALPNProtocols: ['stun.turn'] }, { serverName: undefined, protocols: ['stun.turn'] }],
] as const)('readClientHello reads what OpenSSL says: %s', async (_what, options, said) => {
  expect(readClientHello(await realHello(options as ConnectionOptions))).toEqual(said);
});

test('readClientHello asks for exactly what is missing, byte for byte, and is content with the ClientHello alone', () => {
  for (let length = 0; length < hello.length; length++) {
    const answer = readClientHello(hello.subarray(0, length));
    expect(answer).toMatchObject({ more: true });
    const { atLeast } = answer as { atLeast: number };
    expect(atLeast).toBeGreaterThan(length);
    expect(atLeast).toBeLessThanOrEqual(hello.length);
  }
  expect(readClientHello(Buffer.concat([hello, Buffer.from('what comes after')]))).toEqual(expected);
});

test('a ClientHello may be cut into records anywhere', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: message.length - 1 }), { maxLength: 20 }), (cuts) => {
      const at = [...new Set([0, ...cuts, message.length])].sort((a, b) => a - b);
      const cut = records(at.slice(1).map((end, index) => message.subarray(at[index], end)));
      expect(readClientHello(cut)).toEqual(expected);
      for (let length = 0; length < cut.length; length++)
        expect(readClientHello(cut.subarray(0, length))).toMatchObject({ more: true });
    }),
    { numRuns: 50 },
  );
});

test.each([
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['STUN', Buffer.from('000100002112a442', 'hex')],
  ['SSL 2', Buffer.from('802e0100020015', 'hex')],
  ['an alert', Buffer.from('15030100020100', 'hex')],
  ['an empty record', Buffer.from('1603010000', 'hex')],
  ['a record that is too long', Buffer.from('1603014001', 'hex')],
  ['another message', Buffer.from('160301000402000000', 'hex')],
  ['a message that is too long', Buffer.from('160301000401004001', 'hex')],
  ['more records than anybody sends', records(Array.from({ length: 33 }, (_, n) => message.subarray(n, n + 1)))],
  ['a body that is cut', records([Buffer.concat([Buffer.from([1, 0, 0, 50]), message.subarray(4, 54)])])],
])('%s is no ClientHello', (_what, bytes) => {
  expect(readClientHello(bytes)).toBe('malformed');
});

test('two names, or one extension twice, are malformed: a server behind us could read the other one', () => {
  const name = (host: string) => Buffer.concat([Buffer.from([0, 0, host.length]), Buffer.from(host)]);
  const sized = (...parts: Buffer[]) => {
    const content = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([content.length >> 8, content.length & 255]), content]);
  };
  const extension = (type: number, content: Buffer) => Buffer.concat([Buffer.from([0, type]), sized(content)]);
  const of = (...extensions: Buffer[]) => ofBody(sized(...extensions));
  const ofBody = (...rest: Buffer[]) => {
    const start = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])]);
    const body = Buffer.concat([start, ...rest]);
    return readClientHello(records([Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body])]));
  };
  const one = extension(0, sized(name('a.test')));
  expect(of(one)).toEqual({ serverName: 'a.test', protocols: [] });
  expect(ofBody()).toEqual({ serverName: undefined, protocols: [] });
  expect(ofBody(sized(one), Buffer.from([0]))).toBe('malformed');
  expect(of(one, one)).toBe('malformed');
  expect(of(extension(0, sized(name('a.test'), name('b.test'))))).toBe('malformed');
  expect(of(extension(0, Buffer.concat([sized(name('a.test')), Buffer.from([0])])))).toBe('malformed');
  expect(of(extension(0, sized(name('a\0b'))))).toEqual({ serverName: undefined, protocols: [] });
  expect(of(extension(16, sized()))).toBe('malformed');
});

/** Never throws, and says "more" only where more could help. */
function isTotal(bytes: Buffer): void {
  const answer = readClientHello(bytes);
  if (answer === 'malformed') return;
  if ('more' in answer) expect(answer.atLeast).toBeGreaterThan(bytes.length);
  else expect(answer.protocols.every((protocol) => typeof protocol === 'string')).toBe(true);
}

test('readClientHello is total', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => isTotal(Buffer.from(bytes))),
    { numRuns: 2_000 },
  );
  const mutation = fc.tuple(fc.nat(hello.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 8 }), fc.nat(hello.length), (mutations, length) => {
      const mutant = Buffer.from(hello.subarray(0, length));
      for (const [at, byte] of mutations) if (at < length) mutant[at] = byte;
      isTotal(mutant);
    }),
    { numRuns: 10_000 },
  );
});
