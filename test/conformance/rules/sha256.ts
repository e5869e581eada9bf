import { type Rule, rule } from '../rule.ts';
import type { Client } from '../wire/client.ts';
import { ATTR, type Attribute, longTermKey, message, TYPE, text, UDP } from '../wire/stun.ts';
import { expect, expectCode } from './expect.ts';

const SHA256 = 0x0002;
const OPTIONS = { needs: ['sha256' as const] };

/** Asks for the challenge with room enough in the answer, and says which algorithms it offers. */
async function greet(client: Client): Promise<Buffer> {
  const challenge = await client.ask(message(TYPE.allocate, [UDP, text(ATTR.software, 'x'.repeat(120))]));
  const algorithms = challenge.value(ATTR.passwordAlgorithms);
  expect(algorithms !== undefined, 'the 401 has no PASSWORD-ALGORITHMS');
  client.realm = challenge.value(ATTR.realm)?.toString('utf8') ?? '';
  client.nonce = challenge.value(ATTR.nonce) ?? Buffer.alloc(0);
  return algorithms;
}

/** Algorithm numbers of PASSWORD-ALGORITHMS. */
function numbers(algorithms: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + 4 <= algorithms.length; ) {
    found.push(algorithms.readUInt16BE(at));
    const length = algorithms.readUInt16BE(at + 2);
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return found;
}

function chosen(algorithms: Uint8Array, algorithm = SHA256): Attribute[] {
  return [
    [ATTR.passwordAlgorithms, algorithms],
    [ATTR.passwordAlgorithm, Buffer.of(0, algorithm, 0, 0)],
  ];
}

function key({ credentials, realm }: Client): Buffer {
  return longTermKey(credentials.username, realm, credentials.password, 'sha256');
}

/** Password algorithms and MESSAGE-INTEGRITY-SHA256. */
export const sha256Rules: Rule[] = [
  rule(
    'sha256-offered',
    'RFC 8489 §9.2.4',
    'MUST',
    'PASSWORD-ALGORITHMS comes with a nonce cookie whose first bit is set',
    async (bench) => {
      const client = await bench.client();
      expect(numbers(await greet(client)).includes(SHA256), 'SHA-256 is not offered');
      const nonce = client.nonce.toString('latin1');
      expect(nonce.startsWith('obMatJos2'), 'the nonce has no cookie');
      const features = Buffer.from(nonce.slice(9, 13), 'base64');
      expect(((features[0] as number) & 0x80) !== 0, 'the bit "password algorithms" is not set');
    },
    OPTIONS,
  ),
  rule(
    'sha256-used',
    'RFC 8489 §9.2.4',
    'MUST',
    'a request sealed with SHA-256 is accepted, and so is its answer',
    async (bench) => {
      const client = await bench.client();
      const algorithms = await greet(client);
      const sealing = { key: key(client), sha256: true };
      const response = await client.ask(client.sealed(TYPE.allocate, [UDP, ...chosen(algorithms)], sealing));
      expectCode(response, 200);
      expect(response.isSealedWith(key(client), true), 'the answer is not sealed with SHA-256');
    },
    OPTIONS,
  ),
  rule(
    'sha256-wrong',
    'RFC 8489 §9.2.4',
    'MUST',
    'a wrong MESSAGE-INTEGRITY-SHA256 is answered with 401',
    async (bench) => {
      const client = await bench.client();
      const algorithms = await greet(client);
      const sealing = { key: Buffer.alloc(32), sha256: true };
      expectCode(await client.ask(client.sealed(TYPE.allocate, [UDP, ...chosen(algorithms)], sealing)), 401);
    },
    OPTIONS,
  ),
  rule(
    'sha256-bid-down',
    'RFC 8489 §9.2.4',
    'MUST',
    'PASSWORD-ALGORITHMS other than those offered are answered with 400',
    async (bench) => {
      const client = await bench.client();
      await greet(client);
      const sealing = { key: key(client), sha256: true };
      const changed = chosen(Buffer.of(0, 1, 0, 0), 1);
      expectCode(await client.ask(client.sealed(TYPE.allocate, [UDP, ...changed], sealing)), 400);
    },
    OPTIONS,
  ),
  rule(
    'sha256-half',
    'RFC 8489 §9.2.4',
    'MUST',
    'PASSWORD-ALGORITHM without PASSWORD-ALGORITHMS is answered with 400',
    async (bench) => {
      const client = await bench.client();
      const algorithms = await greet(client);
      const sealing = { key: key(client), sha256: true };
      const [, only] = chosen(algorithms) as [Attribute, Attribute];
      expectCode(await client.ask(client.sealed(TYPE.allocate, [UDP, only], sealing)), 400);
    },
    OPTIONS,
  ),
  rule(
    'sha256-not-needed',
    'RFC 8489 §9.2.4',
    'MUST',
    'a request without password algorithms is checked with MD5',
    async (bench) => {
      const client = await bench.client();
      await greet(client);
      const response = await client.ask(client.sealed(TYPE.allocate, [UDP]));
      expectCode(response, 200);
      expect(response.isSealedWith(client.key), 'the answer has no MESSAGE-INTEGRITY');
    },
    OPTIONS,
  ),
];
