import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { waitFor } from '@orama/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RemoteZone } from './remote-zone.ts';
import { Rfc2136Zone } from './rfc2136.ts';
import { sign, TsigAnswers, TsigError, type TsigKey } from './tsig.ts';
import type { DnsRecord } from './writer.ts';

const ADDRESS = '127.113.0.2';
const PORT = 5301;
const TURN = 'turn.ns-demo.orama.test';
const SECRET = Buffer.from('a secret of thirty-two bytes, ok');
const keyOf = (algorithm: TsigKey['algorithm'], secret = SECRET, name = algorithm): TsigKey => ({
  name,
  algorithm,
  secret,
});

let dir: string;
let stop: () => Promise<void>;

/** A real knotd with the zone orama.test, which others have records in. */
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orama-knot-'));
  const hosts = Array.from({ length: 3000 }, (_, index) => `h${index} A 198.51.100.7\n`).join('');
  writeFileSync(
    join(dir, 'orama.test.zone'),
    `$ORIGIN orama.test.\n$TTL 60\n@ SOA ns1 admin 1 60 60 60 60\n@ NS ns1\n@ NS ns-1\n@ MX 10 ns-mail\nns1 A 198.51.100.1\nns-1 A 198.51.100.3\nns-mail A 198.51.100.4\nns-alias CNAME h1\nns-cut NS ns1\napi A 198.51.100.5\nns-gone A 198.51.100.2\nns-gone TXT "a proof"\n${hosts}`,
  );
  const keys = ['hmac-sha256', 'hmac-sha512'];
  writeFileSync(
    join(dir, 'knot.conf'),
    `server:
  rundir: ${dir}
  listen: ${ADDRESS}@${PORT}
database:
  storage: ${dir}
key:
${keys.map((id) => `  - id: ${id}\n    algorithm: ${id}\n    secret: ${SECRET.toString('base64')}\n`).join('')}acl:
  - id: ours
    key: [${keys.join(', ')}]
    action: [transfer, update]
zone:
  - domain: orama.test
    storage: ${dir}
    file: orama.test.zone
    acl: ours
    journal-content: changes
`,
  );
  const server = spawn('knotd', ['-c', join(dir, 'knot.conf')], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  stop = async () => {
    server.kill('SIGKILL');
    await ended;
  };
  await waitFor('knotd', () => dig('ns1.orama.test').length > 0);
}, 30_000);
afterAll(async () => {
  await stop?.();
  rmSync(dir, { recursive: true, force: true });
});

function dig(name: string, type = 'A'): string[] {
  const args = [`@${ADDRESS}`, '-p', `${PORT}`, '+short', '+tries=1', '+time=5', name, type];
  return execFileSync('dig', args, { encoding: 'utf8' }).split('\n').filter(Boolean).sort();
}
const a = (fqdn: string, value: string): DnsRecord => ({
  fqdn,
  type: value.includes(':') ? 'AAAA' : 'A',
  value,
  ttlSec: 60,
});
const open = (key: TsigKey, zone = 'orama.test', port = PORT) =>
  new RemoteZone(
    new Rfc2136Zone({ server: { address: ADDRESS, port }, zone, key, timeoutMs: 5_000, clock: systemClock }),
    'orama.test',
    { clock: systemClock, logger: silentLogger },
  );

test.each(['hmac-sha256', 'hmac-sha512'] as const)(
  'records are served by Knot as they change, signed with %s',
  async (algorithm) => {
    const records = [a(TURN, '203.0.113.1'), a(TURN, '203.0.113.2'), a(TURN, '2001:DB8:0::1')];
    const zone = open(keyOf(algorithm));
    expect(await zone.isCurrent(records)).toBe(false);
    await zone.write(records);
    expect([dig(TURN), dig(TURN, 'AAAA')]).toEqual([['203.0.113.1', '203.0.113.2'], ['2001:db8::1']]);
    expect(await open(keyOf(algorithm)).isCurrent(records)).toBe(true);
    const serial = dig('orama.test', 'SOA');
    await zone.write(records);
    expect(dig('orama.test', 'SOA')).toEqual(serial);
    expect([dig('ns-gone.orama.test'), dig('ns-gone.orama.test', 'TXT')]).toEqual([[], ['"a proof"']]);
    expect(dig('h2999.orama.test')).toEqual(['198.51.100.7']);
    expect([dig('ns-1.orama.test'), dig('ns-mail.orama.test')]).toEqual([['198.51.100.3'], ['198.51.100.4']]);
    for (const [name, what] of [
      ['ns-alias.orama.test', 'an alias'],
      ['ns-cut.orama.test', 'delegated to other nameservers'],
    ] as const) {
      const refused = zone.write([a(name, '203.0.113.1')]);
      await expect(refused).rejects.toThrow(`${name} cannot lead to our nodes: in the zone it is ${what}`);
    }
    expect(dig(TURN)).toEqual([]);
  },
);

test('the name of the cluster is left to who has it in Knot, and taken over from our own nodes alone', async () => {
  const zone = open(keyOf('hmac-sha256'));
  const records = ['203.0.113.1', '2001:db8::1'].map((value) => a('api.orama.test', value));
  const nodes = ['203.0.113.1', '2001:db8::1'];
  const wanted = [...records, a(TURN, '203.0.113.1')];
  await zone.write(wanted, nodes);
  expect([dig('api.orama.test'), dig('api.orama.test', 'AAAA'), dig(TURN)]).toEqual([
    ['198.51.100.5'],
    [],
    ['203.0.113.1'],
  ]);
  expect(await zone.isCurrent(wanted, nodes)).toBe(true);
  // The address turns out to be one of a node that was there before.
  const all = [...nodes, '198.51.100.5'];
  await zone.write(wanted, all);
  expect([dig('api.orama.test'), dig('api.orama.test', 'AAAA')]).toEqual([['203.0.113.1'], ['2001:db8::1']]);
  await zone.write(records.slice(0, 1), all);
  expect([dig('api.orama.test'), dig('api.orama.test', 'AAAA')]).toEqual([['203.0.113.1'], []]);
});

test('a wrong secret, a key or zone that is not there, and a server that is away are told with the field', async () => {
  const fault = (zone: RemoteZone) => zone.isCurrent([]).catch((thrown: Error) => thrown.message);
  expect(await fault(open(keyOf('hmac-sha256', Buffer.from('another'))))).toContain('dns.tsig');
  expect(await fault(open({ ...keyOf('hmac-sha256'), name: 'nobody' }))).toContain('dns.tsig');
  expect(await fault(open(keyOf('hmac-sha256'), 'other.test'))).toContain('dns.zone');
  expect(await fault(open(keyOf('hmac-sha256'), 'orama.test', 5399))).toMatch(/dns\.server.*ECONNREFUSED/);
});

/** An answer as a server signs it that got a request with this MAC; made here from RFC 8945 alone. */
function signed(message: Buffer, requestMac: Buffer, timeSec: number): Buffer {
  const name = Buffer.from('\x0bhmac-sha256\0');
  const u16 = (value: number) => Buffer.from([value >> 8, value & 255]);
  const time = Buffer.alloc(8);
  time.writeUIntBE(timeSec, 0, 6);
  time.writeUInt16BE(300, 6);
  const covered = [u16(requestMac.length), requestMac, message, name, Buffer.from([0, 255, 0, 0, 0, 0]), name, time];
  const mac = createHmac('sha256', SECRET)
    .update(Buffer.concat([...covered, Buffer.alloc(4)]))
    .digest();
  const data = Buffer.concat([name, time, u16(32), mac, message.subarray(0, 2), Buffer.alloc(4)]);
  const answer = Buffer.concat([message, name, Buffer.from([0, 250, 0, 255, 0, 0, 0, 0]), u16(data.length), data]);
  answer.writeUInt16BE(1, 10);
  return answer;
}

test('an answer that was changed, is unsigned, or is of another time is refused, whatever its bytes', () => {
  const key = keyOf('hmac-sha256');
  const nowSec = 1_700_000_000;
  const message = Buffer.concat([
    Buffer.from([0, 7, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    Buffer.from('\x01a\0\0\x01\0\x01'),
  ]);
  const { mac } = sign(message, key, nowSec * 1000);
  const bytes = signed(message, mac, nowSec);
  const take =
    (answer: Buffer, atSec = nowSec) =>
    () =>
      new TsigAnswers(key, mac).take(answer, atSec * 1000);
  for (const atSec of [nowSec, nowSec + 300, nowSec - 300]) expect(take(bytes, atSec)).not.toThrow();
  for (const atSec of [nowSec + 301, nowSec - 301]) expect(take(bytes, atSec)).toThrow('clocks');
  expect(take(message)).toThrow(TsigError);
  expect(take(signed(message, Buffer.alloc(32), nowSec))).toThrow('the signature of the answer is wrong');
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      // Upper and lower case of names are the same to a signature, and the identity that it covers is the original one.
      fc.pre(at > 1 && change !== 0x20);
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ change;
      expect(take(copy)).toThrow();
    }),
  );
});
