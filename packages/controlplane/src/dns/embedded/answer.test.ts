import { type DecodedPacket, decode, encode, type RecordType } from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DnsRecord } from '../writer.ts';
import { answer, slip } from './answer.ts';
import { buildZone } from './zone.ts';

const BASE = 'orama.test';
const TURN = 'turn.ns-demo.orama.test';
const a = (fqdn: string, value: string): DnsRecord => ({ fqdn, type: 'A', value, ttlSec: 60 });
const zoneOf = (records: readonly DnsRecord[]) =>
  buildZone({
    baseDomain: BASE,
    serial: 7,
    nameservers: [
      { name: 'node-1.dns.orama.test', addresses: ['203.0.113.1', '2001:db8::1'] },
      { name: 'ns.elsewhere.test', addresses: ['203.0.113.9'] },
    ],
    contact: 'hostmaster.orama.test',
    records,
  });
const ZONE = zoneOf([
  a(TURN, '203.0.113.1'),
  a(TURN, '203.0.113.2'),
  { fqdn: TURN, type: 'AAAA', value: '2001:db8::2', ttlSec: 60 },
  { fqdn: '_acme-challenge.turn.ns-demo.orama.test', type: 'TXT', value: `${'x'.repeat(300)}`, ttlSec: 30 },
  a('turn.ns-demo.elsewhere.test', '203.0.113.3'),
]);

const ask = (name: string, type: RecordType, id = 0) => encode({ type: 'query', id, questions: [{ name, type }] });
const reply = (message: Buffer, transport: 'udp' | 'tcp' = 'udp', zone: typeof ZONE | null = ZONE) => {
  const bytes = answer(message, zone, transport)?.bytes;
  if (!bytes) throw new Error('no answer');
  return { ...decode(bytes), bytes } as DecodedPacket & { rcode: string; bytes: Buffer };
};
const data = ({ answers }: DecodedPacket) => answers?.map((one) => ('data' in one ? String(one.data) : '')).sort();
const withOpt = (message: Buffer, opt: number[]) => {
  const copy = Buffer.concat([message, Buffer.from(opt)]);
  copy.writeUInt16BE(copy.readUInt16BE(10) + 1, 10);
  return copy;
};
const opt = (size: number, { version = 0, flags = 0, options = [] as number[] } = {}) => [
  0,
  0,
  41,
  size >> 8,
  size & 255,
  0,
  version,
  flags >> 8,
  flags & 255,
  0,
  options.length,
  ...options,
];

test('answer gives all records of a name and type, authoritative and without recursion', () => {
  const got = reply(ask(TURN, 'A'));
  expect(got).toMatchObject({ flag_aa: true, flag_ra: false, flag_tc: false, rcode: 'NOERROR' });
  expect(data(got)).toEqual(['203.0.113.1', '203.0.113.2']);
  expect(got.answers?.every((one) => one.name === TURN && 'ttl' in one && one.ttl === 60)).toBe(true);
  expect(data(reply(ask(TURN, 'AAAA')))).toEqual(['2001:db8::2']);
});

test('answer begins with another address for another query', () => {
  const first = (id: number) => {
    const one = reply(ask(TURN, 'A', id)).answers?.[0];
    return one && 'data' in one ? one.data : null;
  };
  expect(first(0)).not.toBe(first(1));
});

test('answer says the question back as it was asked, whatever its case', () => {
  const name = 'TuRn.nS-dEMO.oRAMA.tesT';
  const got = reply(ask(name, 'A'));
  expect(got.questions?.[0]?.name).toBe(name);
  expect(data(got)).toHaveLength(2);
});

test('answer tells a name that is not there from one that has no such record, with the SOA record for both', () => {
  const cases: [string, RecordType, string][] = [
    ['nobody.orama.test', 'A', 'NXDOMAIN'],
    [`below.${TURN}`, 'A', 'NXDOMAIN'],
    [TURN, 'TXT', 'NOERROR'],
    ['ns-demo.orama.test', 'A', 'NOERROR'],
    [BASE, 'A', 'NOERROR'],
  ];
  for (const [name, type, rcode] of cases) {
    const got = reply(ask(name, type));
    expect([name, got.rcode, got.flag_aa, got.answers]).toEqual([name, rcode, true, []]);
    expect(got.authorities).toMatchObject([{ name: BASE, type: 'SOA', ttl: 30, data: { serial: 7, minimum: 30 } }]);
  }
});

test('answer serves the apex: SOA, and NS with the addresses of the servers in the zone', () => {
  expect(reply(ask(BASE, 'SOA')).answers).toMatchObject([
    { name: BASE, ttl: 60, data: { mname: 'node-1.dns.orama.test', rname: 'hostmaster.orama.test', serial: 7 } },
  ]);
  const ns = reply(ask(BASE, 'NS'));
  expect(data(ns)).toEqual(['node-1.dns.orama.test', 'ns.elsewhere.test']);
  expect(ns.additionals?.map((one) => [one.name, 'data' in one && one.data])).toEqual([
    ['node-1.dns.orama.test', '203.0.113.1'],
    ['node-1.dns.orama.test', '2001:db8::1'],
  ]);
  expect(data(reply(ask('node-1.dns.orama.test', 'A')))).toEqual(['203.0.113.1']);
});

test('answer splits a long text, and gives ANY one set of records only', () => {
  const got = reply(ask('_acme-challenge.turn.ns-demo.orama.test', 'TXT')).answers?.[0];
  expect(got && 'data' in got && (got.data as Buffer[]).map(({ length }) => length)).toEqual([255, 45]);
  const any = encode({ type: 'query', questions: [{ name: TURN, type: 'A' }] });
  any.writeUInt16BE(255, any.length - 4);
  expect(data(reply(any))).toEqual(['203.0.113.1', '203.0.113.2']);
});

test('answer refuses what is not its zone, transfers, other classes, other opcodes and odd numbers of questions', () => {
  const other = ask(TURN, 'A');
  other.writeUInt16BE(3, other.length - 2);
  const notify = ask(TURN, 'A');
  notify.writeUInt16BE(4 << 11, 2);
  const two = encode({
    type: 'query',
    questions: [
      { name: TURN, type: 'A' },
      { name: TURN, type: 'AAAA' },
    ],
  });
  const cases: [Buffer, string][] = [
    [ask('elsewhere.test', 'A'), 'REFUSED'],
    [ask('xorama.test', 'A'), 'REFUSED'],
    [ask('turn.ns-demo.elsewhere.test', 'A'), 'REFUSED'],
    [ask('.', 'NS'), 'REFUSED'],
    [ask(BASE, 'AXFR'), 'REFUSED'],
    [ask(BASE, 'IXFR'), 'REFUSED'],
    [other, 'REFUSED'],
    [notify, 'NOTIMP'],
    [two, 'FORMERR'],
    [encode({ type: 'query', questions: [] }), 'FORMERR'],
  ];
  for (const [message, rcode] of cases) {
    expect(reply(message)).toMatchObject({ rcode, flag_aa: false, answers: [], authorities: [] });
  }
});

test('a dot inside of a label is not taken for the end of one', () => {
  const message = Buffer.concat([
    ask('.', 'A').subarray(0, 12),
    Buffer.from('\x0cturn.ns-demo\x05orama\x04test\0\0\x01\0\x01'),
  ]);
  expect(reply(message).rcode).toBe('NXDOMAIN');
});

test('answer is SERVFAIL before there is a zone, and nothing at all to a response or to less than a header', () => {
  expect(reply(ask(TURN, 'A'), 'udp', null).rcode).toBe('SERVFAIL');
  expect(answer(encode({ type: 'response', questions: [] }), ZONE, 'udp')).toBe(null);
  expect(answer(Buffer.alloc(11), ZONE, 'udp')).toBe(null);
});

test('answer speaks EDNS: its own size, DO said back, unknown options passed over, other versions refused', () => {
  const optOf = (options?: Parameters<typeof opt>[1]) => reply(withOpt(ask(TURN, 'A'), opt(4096, options)));
  expect(optOf({ flags: 0x8000 }).additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, flag_do: true }]);
  expect(optOf({ options: [0, 10, 0, 1, 9] })).toMatchObject({ rcode: 'NOERROR', additionals: [{ flag_do: false }] });
  expect(optOf({ version: 1 })).toMatchObject({ answers: [], additionals: [{ extendedRcode: 1, ednsVersion: 0 }] });
  expect(reply(ask(TURN, 'A')).additionals).toEqual([]);
  const twice = withOpt(withOpt(ask(TURN, 'A'), opt(512)), opt(512));
  expect(reply(twice).rcode).toBe('FORMERR');
});

test('answer leaves to TCP what is longer than the client takes over UDP, and never sends more than 1232 bytes', () => {
  const zone = zoneOf(Array.from({ length: 200 }, (_, index) => a(TURN, `203.0.113.${index}`)));
  for (const message of [ask(TURN, 'A'), withOpt(ask(TURN, 'A'), opt(65_535))]) {
    const got = reply(message, 'udp', zone);
    expect(got).toMatchObject({ flag_tc: true, answers: [] });
    expect(reply(message, 'tcp', zone).answers).toHaveLength(200);
  }
  const some = zoneOf(Array.from({ length: 60 }, (_, index) => a(TURN, `203.0.113.${index}`)));
  expect(reply(withOpt(ask(TURN, 'A'), opt(65_535)), 'udp', some).answers).toHaveLength(60);
  expect(reply(withOpt(ask(TURN, 'A'), opt(0)), 'udp', some).flag_tc).toBe(true);
});

test('answer takes any bytes: what it says can be read, fits the client, and slip is never longer than what was asked', () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(ask(TURN, 'A'), ask('x.orama.test', 'TXT'), withOpt(ask(BASE, 'NS'), opt(1232))),
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }),
      fc.nat(90),
    )
    .map(([message, changes, length]) => {
      const copy = Buffer.from(message);
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy.subarray(0, length);
    });
  fc.assert(
    fc.property(
      fc.oneof(
        mutated,
        fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
      ),
      (message) => {
        const got = answer(message, ZONE, 'udp');
        const short = slip(message);
        expect(got === null).toBe(short === null);
        if (!got || !short) return;
        expect(got.bytes.length).toBeLessThanOrEqual(1232);
        expect(short.bytes.length).toBeLessThanOrEqual(message.length);
        expect(decode(got.bytes)).toMatchObject({ id: message.readUInt16BE(0), flag_qr: true, flag_ra: false });
      },
    ),
    { numRuns: 500 },
  );
});

test('answer finds exactly what a plain list of records says is there', () => {
  const label = fc.constantFrom('a', 'b', 'turn', 'ns-demo');
  const name = fc.array(label, { maxLength: 4 }).map((labels) => [...labels, BASE].join('.'));
  const record = fc.tuple(name, fc.nat(3)).map(([fqdn, last]) => a(fqdn, `203.0.113.${last}`));
  fc.assert(
    fc.property(fc.array(record, { maxLength: 12 }), name, (records, asked) => {
      const got = reply(ask(asked, 'A'), 'udp', zoneOf(records));
      const own = records.filter(({ fqdn }) => fqdn === asked).map(({ value }) => value);
      expect(data(got)).toEqual([...new Set(own)].sort());
      const exists = asked === BASE || records.some(({ fqdn }) => fqdn === asked || fqdn.endsWith(`.${asked}`));
      expect(got.rcode).toBe(exists ? 'NOERROR' : 'NXDOMAIN');
    }),
    { numRuns: 200 },
  );
});
