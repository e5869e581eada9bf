import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { waitFor } from '@orama/testkit';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { PowerDnsZone } from './powerdns.ts';
import { RemoteZone } from './remote-zone.ts';
import type { DnsRecord } from './writer.ts';

const SCHEMA = '/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql';
const ADDRESS = '127.113.0.1';
const API_PORT = 8081;
const DNS_PORT = 5300;
const URL = `http://${ADDRESS}:${API_PORT}`;
const ZONE = `${URL}/api/v1/servers/localhost/zones/orama.test.`;
const KEY = 'the key of the API';
const TURN = 'turn.ns-demo.orama.test';
const OWN = 'api.orama.test';

let dir: string;
let stop: () => Promise<void>;

/** A real pdns_server with the zone orama.test, which others have records in. */
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'orama-pdns-'));
  const database = join(dir, 'pdns.sqlite');
  const db = new DatabaseSync(database);
  db.exec(readFileSync(SCHEMA, 'utf8'));
  db.close();
  const settings = {
    launch: 'gsqlite3',
    'gsqlite3-database': database,
    'local-address': ADDRESS,
    'local-port': DNS_PORT,
    api: 'yes',
    'api-key': KEY,
    webserver: 'yes',
    'webserver-address': ADDRESS,
    'webserver-port': API_PORT,
    'webserver-allow-from': '127.0.0.0/8',
    'socket-dir': dir,
    'cache-ttl': 0,
    'query-cache-ttl': 0,
    'negquery-cache-ttl': 0,
    'zone-cache-refresh-interval': 0,
    setuid: '',
    setgid: '',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(dir, 'pdns.conf'), lines.join(''));
  const server = spawn('pdns_server', [`--config-dir=${dir}`], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  stop = async () => {
    server.kill('SIGKILL');
    await ended;
  };
  const zones = `${URL}/api/v1/servers/localhost/zones`;
  await waitFor('pdns_server', async () => (await fetch(zones, { headers: { 'x-api-key': KEY } })).ok);
  await api('POST', zones, { name: 'orama.test.', kind: 'Native', nameservers: ['ns1.orama.test.'] });
}, 30_000);
afterAll(async () => {
  await stop?.();
  rmSync(dir, { recursive: true, force: true });
});

async function api(method: string, url: string, body: object): Promise<void> {
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
}
/** Somebody else writes to the zone. */
const others = (name: string, type: string, content: string, disabled = false) =>
  api('PATCH', ZONE, {
    rrsets: [{ name: `${name}.`, type, ttl: 60, changetype: 'REPLACE', records: [{ content, disabled }] }],
  });
const gone = (name: string, ...types: string[]) =>
  api('PATCH', ZONE, { rrsets: types.map((type) => ({ name: `${name}.`, type, changetype: 'DELETE' })) });
/** The records of a name as the server keeps them. */
async function stored(name: string): Promise<object[]> {
  const response = await fetch(ZONE, { headers: { 'x-api-key': KEY } });
  const { rrsets } = (await response.json()) as { rrsets: { name: string }[] };
  return rrsets.filter((set) => set.name === `${name}.`);
}
const dig = (name: string, type = 'A') =>
  execFileSync('dig', [`@${ADDRESS}`, '-p', `${DNS_PORT}`, '+short', '+tries=1', '+time=5', name, type], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter(Boolean)
    .sort();
const a = (fqdn: string, value: string): DnsRecord => ({
  fqdn,
  type: value.includes(':') ? 'AAAA' : 'A',
  value,
  ttlSec: 60,
});
/** A logger that keeps the fields of its lines. */
function listen() {
  const lines: object[] = [];
  const keep = (fields: object) => void lines.push(fields);
  return { lines, logger: { ...silentLogger, info: keep, warn: keep } as typeof silentLogger };
}
function open(overrides: Partial<ConstructorParameters<typeof PowerDnsZone>[0]> = {}, logger = silentLogger) {
  const options = {
    url: URL,
    server: 'localhost',
    zone: 'orama.test',
    apiKey: KEY,
    timeoutMs: 5_000,
    logger,
    ...overrides,
  };
  const clock = new VirtualClock();
  return { zone: new RemoteZone(new PowerDnsZone(options), 'orama.test', { clock, logger }), clock };
}

test('records are served by PowerDNS as they change, whatever the spelling of an address, and nothing is written twice', async () => {
  const { zone } = open();
  const records = [a(TURN, '203.0.113.1'), a(TURN, '203.0.113.2'), a(TURN, '2001:DB8:0::1')];
  expect(await zone.isCurrent(records)).toBe(false);
  await zone.write(records);
  expect(dig(TURN)).toEqual(['203.0.113.1', '203.0.113.2']);
  expect(dig(TURN, 'AAAA')).toEqual(['2001:db8::1']);
  const serial = dig('orama.test', 'SOA');
  expect(await open().zone.isCurrent([...records].reverse())).toBe(true);
  await zone.write(records);
  expect(dig('orama.test', 'SOA')).toEqual(serial);
  await zone.write(records.slice(1, 2));
  expect([dig(TURN), dig(TURN, 'AAAA')]).toEqual([['203.0.113.2'], []]);
});

test('what others have in the zone stays, and names of ours that are no longer wanted go', async () => {
  const { zone } = open();
  await others('www.orama.test', 'A', '198.51.100.1');
  await others('ns-gone.orama.test', 'A', '198.51.100.2');
  await others('ns-gone.orama.test', 'TXT', '"a proof"');
  await others('turn.ns-gone.sub.orama.test', 'A', '198.51.100.3');
  await others('api.orama.test', 'A', '198.51.100.4');
  await zone.write([a(TURN, '203.0.113.1')]);
  expect(dig('ns-gone.orama.test')).toEqual([]);
  expect(dig('ns-gone.orama.test', 'TXT')).toEqual(['"a proof"']);
  expect(dig('www.orama.test')).toEqual(['198.51.100.1']);
  expect(dig('api.orama.test')).toEqual(['198.51.100.4']);
  expect(dig('turn.ns-gone.sub.orama.test')).toEqual(['198.51.100.3']);
  expect(dig('orama.test', 'NS')).toEqual(['ns1.orama.test.']);
});

test('the name that the cluster has of its own is taken where it is absent or leads to our nodes, and told with what it was', async () => {
  const { logger, lines } = listen();
  const { zone } = open({}, logger);
  await gone(OWN, 'A');
  await gone(TURN, 'A');
  const nodes = ['203.0.113.1', '203.0.113.2', '2001:db8::1'];
  const own = nodes.map((value) => a(OWN, value));
  await zone.write(own, nodes);
  expect([dig(OWN), dig(OWN, 'AAAA')]).toEqual([['203.0.113.1', '203.0.113.2'], ['2001:db8::1']]);
  expect(lines).toEqual([]);
  // A node that has another address from now on, and one that is drained.
  const moved = ['203.0.113.3', '203.0.113.2', '2001:db8::1'];
  await zone.write([a(OWN, '203.0.113.3')], moved);
  expect([dig(OWN), dig(OWN, 'AAAA')]).toEqual([['203.0.113.3'], []]);
  expect(lines).toEqual([
    { name: OWN, type: 'A', values: ['203.0.113.3'], former: ['203.0.113.1', '203.0.113.2'] },
    { name: OWN, type: 'AAAA', values: ['2001:db8::1'] },
  ]);
});

test.each([
  [
    'addresses of an application',
    [
      ['A', '198.51.100.4'],
      ['AAAA', '2001:db8::4'],
    ],
    "somebody else's (198.51.100.4, 2001:db8::4)",
  ],
  [
    'an address of a node beside a foreign one',
    [
      ['A', '203.0.113.1'],
      ['AAAA', '2001:db8::4'],
    ],
    "somebody else's (2001:db8::4, 203.0.113.1)",
  ],
  ['an alias', [['CNAME', 'www.orama.test.']], 'an alias (CNAME)'],
  ['an alias of PowerDNS', [['ALIAS', 'www.orama.test.']], 'an alias (ALIAS)'],
  ['a delegation', [['NS', 'ns.elsewhere.test.']], 'delegated to other nameservers (NS)'],
])(
  'the name of the cluster that is %s stays, is told once, and keeps nothing else from being served',
  async (_what, there, what) => {
    const { logger, lines } = listen();
    const { zone, clock } = open({}, logger);
    await gone(OWN, 'A', 'AAAA', 'CNAME', 'ALIAS', 'NS');
    await gone(TURN, 'A', 'AAAA');
    for (const [type, content] of there) await others(OWN, type as string, content as string);
    const before = await stored(OWN);
    const wanted = [a(OWN, '203.0.113.1'), a(TURN, '203.0.113.1')];
    const nodes = ['203.0.113.1'];
    await zone.write(wanted, nodes);
    expect(dig(TURN)).toEqual(nodes);
    expect(await zone.isCurrent(wanted, nodes)).toBe(true);
    expect(await stored(OWN)).toEqual(before);
    expect(lines).toEqual([{ name: OWN, what, mend: expect.stringContaining('take that record away') }]);
    await gone(OWN, ...there.map(([type]) => type as string));
    clock.advance(10_000);
    expect(await zone.isCurrent(wanted, nodes)).toBe(false);
    await zone.write(wanted, nodes);
    expect(dig(OWN)).toEqual(nodes);
    expect(lines).toHaveLength(1);
    await gone(OWN, 'A');
  },
);

test('an address that the operator has disabled for a while is not taken for an absent name', async () => {
  const { zone } = open();
  await others(OWN, 'A', '198.51.100.4', true);
  await zone.write([a(OWN, '203.0.113.1')], ['203.0.113.1']);
  expect(await stored(OWN)).toMatchObject([{ records: [{ content: '198.51.100.4', disabled: true }] }]);
  await gone(OWN, 'A');
});

test('the addresses of a nameserver, a mail server and an alias that have names like ours stay, and who wants them is told', async () => {
  const { zone } = open();
  await others('orama.test', 'NS', 'ns-1.orama.test.');
  await others('orama.test', 'MX', '10 NS-mail.orama.test.');
  await others('ns-1.orama.test', 'A', '198.51.100.1');
  await others('ns-mail.orama.test', 'A', '198.51.100.2');
  await others('ns-alias.orama.test', 'CNAME', 'www.orama.test.');
  const ours = a(TURN, '203.0.113.1');
  await zone.write([ours]);
  expect(await zone.isCurrent([ours])).toBe(true);
  for (const name of ['ns-1.orama.test', 'ns-alias.orama.test']) {
    const wanted = [a(name, '203.0.113.1'), a(TURN, '203.0.113.2')];
    await expect(zone.write(wanted)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(name),
    });
    expect(await zone.isCurrent(wanted)).toBe(false);
    expect(dig(TURN)).toEqual(['203.0.113.2']);
    await zone.write([ours]);
  }
  expect([dig('ns-1.orama.test'), dig('ns-mail.orama.test')]).toEqual([['198.51.100.1'], ['198.51.100.2']]);
  await others('orama.test', 'NS', 'ns1.orama.test.');
  await zone.write([ours]);
  expect(dig('ns-1.orama.test')).toEqual([]);
});

test('a zone made by hand, whose serial stays, is told once with the command that mends it', async () => {
  const pdnsutil = (...args: string[]) =>
    execFileSync('pdnsutil', [`--config-dir=${dir}`, ...args], { stdio: 'ignore' });
  pdnsutil('create-zone', 'plain.test');
  const warnings: object[] = [];
  const logger = { ...silentLogger, warn: (fields: object) => void warnings.push(fields) } as typeof silentLogger;
  const { zone } = open({ zone: 'plain.test', logger });
  const serial = () => dig('plain.test', 'SOA').map((soa) => soa.split(' ')[2]);
  const before = serial();
  await zone.write([a('ns-a.plain.test', '203.0.113.1')]);
  await zone.write([a('ns-a.plain.test', '203.0.113.2')]);
  expect(serial()).toEqual(before);
  expect(warnings).toEqual([{ zone: 'plain.test', mend: 'pdnsutil set-meta plain.test SOA-EDIT-API DEFAULT' }]);
  pdnsutil('set-meta', 'plain.test', 'SOA-EDIT-API', 'DEFAULT');
  await zone.write([a('ns-a.plain.test', '203.0.113.3')]);
  expect(serial()).not.toEqual(before);
});

test('what somebody else changed of ours is seen within 10 s', async () => {
  const { zone, clock } = open();
  const records = [a(TURN, '203.0.113.1')];
  await zone.write(records);
  expect(await zone.isCurrent(records)).toBe(true);
  await others(TURN, 'A', '198.51.100.9');
  clock.advance(10_000);
  expect(await zone.isCurrent(records)).toBe(false);
});

test('a wrong key, a zone that is not there and a bad address are told with the field and the next step, without the key', async () => {
  const faultOf = async (overrides: Parameters<typeof open>[0], value = '203.0.113.1') =>
    open(overrides)
      .zone.write([a(TURN, value)])
      .catch((thrown: unknown) => thrown);
  const wrong = await faultOf({ apiKey: 'a guess' });
  expect(wrong).toMatchObject({ message: expect.stringContaining('dns.apiKeyFile'), hint: expect.any(String) });
  expect(JSON.stringify(wrong)).not.toContain('a guess');
  expect(await faultOf({ zone: 'other.test' })).toMatchObject({
    message: expect.stringContaining('dns.zone'),
    hint: expect.stringContaining('pdnsutil create-zone other.test'),
  });
  expect(await faultOf({}, '203.0.113.999')).toMatchObject({ message: expect.stringContaining('dns.zone: PowerDNS') });
});

test('a server that is away, silent or something else is told as dns.url, in time', async () => {
  const silent = createServer(() => {});
  const other = createServer((_request, response) => void response.end('hello'));
  for (const server of [silent, other]) {
    server.listen(0, ADDRESS);
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
  }
  const urlOf = (server: typeof silent) => `http://${ADDRESS}:${(server.address() as AddressInfo).port}`;
  const read = (url: string, timeoutMs = 5_000) => open({ url, timeoutMs }).zone.isCurrent([]);
  await expect(read(`http://${ADDRESS}:9081`)).rejects.toThrow(/dns\.url: .*ECONNREFUSED/);
  await expect(read(urlOf(silent), 300)).rejects.toThrow(/dns\.url: .*no answer within 300 ms/);
  await expect(read(urlOf(other))).rejects.toThrow(/dns\.url: .*something else than a zone/);
});

test('an API key is not sent in clear over a foreign network', () => {
  expect(() => open({ url: 'http://dns.example.com' })).toThrow('dns.url');
  expect(() => open({ url: 'http://9.9.9.9:8081' })).toThrow('dns.url');
  expect(() => open({ url: 'https://9.9.9.9' })).not.toThrow();
  expect(() => open({ url: 'http://10.0.0.1:8081' })).not.toThrow();
});
