import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VirtualClock } from '@orama/core';
import { AcmeAuthority, CaddyServer, CertificateAuthority, waitFor } from '@orama/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CaddyChange, CaddyWatch } from './watch.ts';

// A real Caddy, and Pebble, which issues to it.
const ADDRESS = '127.83.1.1';
const TURN = 'turn.ns-demo.orama.test';
const GATEWAY = 'ns-demo.orama.test';
const OPERATORS = 'www.example.test';

let authority: AcmeAuthority;
let caddy: CaddyServer;
let watch: CaddyWatch;
/** Its own time, so that answers do not count for longer than a test wants. */
let clock: VirtualClock;

beforeAll(async () => {
  authority = await AcmeAuthority.start({ address: ADDRESS, namesLeadTo: ADDRESS, httpPort: 8080, tlsPort: 8443 });
});
afterAll(() => authority?.close());

beforeEach(() => {
  caddy = new CaddyServer(ADDRESS);
  clock = new VirtualClock(Date.now());
  watch = new CaddyWatch({ source: 'caddy', admin: caddy.admin, gateways: true }, clock, null);
});
afterEach(() => caddy.close());

/** An operator's configuration: a site, a certificate of its own, and the authority for everything. */
const operators = () => ({
  apps: {
    http: {
      http_port: 8080,
      https_port: 8443,
      servers: { main: { listen: [`${ADDRESS}:8443`], routes: [], tls_connection_policies: [{}] } },
    },
    tls: {
      certificates: { automate: [OPERATORS] },
      automation: {
        renew_interval: 1_000_000_000,
        policies: [{ issuers: [acme()], renewal_window_ratio: 0.4 }],
      },
    },
  },
});
const acme = () => ({
  module: 'acme',
  ca: authority.directory,
  email: 'ops@example.test',
  trusted_roots_pem_files: [authority.caFile],
});
async function bring(names: string[], shared = false): Promise<void> {
  await settle(names);
  const change = await watch.dueChange(names, shared);
  if (change) await watch.apply(change);
}
/** The names have been wanted for a while, and Caddy is asked again. */
async function settle(names: string[], by = watch): Promise<void> {
  await by.certificates(names);
  clock.advance(10_000);
}
const issued = (name: string) => waitFor(name, async () => (await watch.certificates([name])).get(name));

test('CaddyWatch has Caddy get certificates from the authority of its operator, and takes away what is not wanted', async () => {
  const own = operators();
  await caddy.start(own);
  await bring([]);
  await issued(OPERATORS);
  await bring([TURN, GATEWAY]);
  for (const name of [TURN, GATEWAY]) {
    expect((await issued(name)).status).toMatchObject({
      selfSigned: false,
      issuer: expect.stringContaining('Pebble'),
    });
  }
  const [policy, ...others] = own.apps.tls.automation.policies;
  expect(await caddy.config('apps/tls')).toEqual({
    certificates: { automate: [OPERATORS, GATEWAY, TURN] },
    automation: {
      ...own.apps.tls.automation,
      policies: [{ ...policy, '@id': 'orama-certificates', subjects: [GATEWAY, TURN] }, policy, ...others],
    },
  });
  await settle([TURN, GATEWAY]);
  expect(await watch.dueChange([TURN, GATEWAY], false)).toBe(null);
  await bring([TURN]);
  expect(await caddy.config('apps/tls/certificates')).toEqual({ automate: [OPERATORS, TURN] });
  await bring([]);
  expect(await caddy.config('apps')).toEqual(own.apps);
});

test('a Caddy that has no account yet is asked for one name alone until it has one, then for all', async () => {
  const own = operators();
  own.apps.tls.certificates.automate = [];
  await caddy.start(own);
  const asked = () => caddy.config('apps/tls/certificates/automate');
  await bring([GATEWAY, TURN]);
  expect(await asked()).toEqual([GATEWAY]);
  // At once, not when Caddy is due to be asked again.
  const change = await waitFor('the account', async () => {
    await watch.certificates([GATEWAY, TURN]);
    return watch.dueChange([GATEWAY, TURN], false);
  });
  await watch.apply(change);
  expect(await asked()).toEqual([GATEWAY, TURN]);
  await issued(TURN);
  // One that starts anew sees the account.
  const later = new CaddyWatch({ source: 'caddy', admin: caddy.admin, gateways: true }, clock, null);
  expect(await later.dueChange([GATEWAY, TURN], false)).toBe(null);
});

test('a name is asked for when every DNS server has had time to lead to it; one that Caddy was asked for stays', async () => {
  await caddy.start(operators());
  await bring([GATEWAY]);
  await issued(GATEWAY);
  const due = async (by: CaddyWatch) => {
    await by.certificates([GATEWAY, TURN]);
    return by.dueChange([GATEWAY, TURN], false);
  };
  expect(await due(watch)).toBe(null);
  clock.advance(2_999);
  expect(await due(watch)).toBe(null);
  clock.advance(1);
  await watch.apply((await due(watch)) as CaddyChange);
  expect(await caddy.config('apps/tls/certificates/automate')).toEqual([OPERATORS, GATEWAY, TURN]);
  expect(await due(new CaddyWatch({ source: 'caddy', admin: caddy.admin, gateways: true }, clock, null))).toBe(null);
});

test('while Caddy gets no account the other names wait, and say for what', async () => {
  const own = operators();
  own.apps.tls.certificates.automate = [];
  const directory = 'https://127.83.1.9:1/dir';
  own.apps.tls.automation.policies = [{ issuers: [{ ...acme(), ca: directory }] }] as never;
  await caddy.start(own);
  await bring([GATEWAY, TURN]);
  clock.advance(51_000);
  await bring([GATEWAY, TURN]);
  expect(await caddy.config('apps/tls/certificates/automate')).toEqual([GATEWAY]);
  expect(watch.problemOf(GATEWAY)).toMatch('Caddy has been asked for a certificate of ns-demo.orama.test for 1 min');
  expect(watch.problemOf(TURN)).toMatch(
    `waits until Caddy has an account with ${directory}, which it makes for ${GATEWAY}`,
  );
});

test('names come back after an operator reloaded Caddy, and what the operator changed meanwhile stays', async () => {
  await caddy.start(operators());
  await bring([TURN]);
  const other = operators();
  other.apps.tls.automation.policies = [{ issuers: [{ ...acme(), email: 'other@example.test' }] }] as never;
  await caddy.reload(other);
  await bring([TURN]);
  expect(await caddy.config('apps/tls/automation/policies')).toEqual([
    { '@id': 'orama-certificates', subjects: [TURN], issuers: other.apps.tls.automation.policies[0]?.issuers },
    ...other.apps.tls.automation.policies,
  ]);
});

test('the admin API is asked on a socket as well, where no other user reads the key of a DNS provider', async () => {
  const socket = join(caddy.storage, '..', 'admin.sock');
  await caddy.start({});
  await caddy.reload({ admin: { listen: `unix/${socket}` } });
  const there = new CaddyWatch({ source: 'caddy', admin: `unix:${socket}`, gateways: true }, clock, null);
  const due = async () => {
    await settle([TURN], there);
    return there.dueChange([TURN], false);
  };
  // The socket is there a moment after the answer.
  const change = await waitFor('Caddy on its socket', due);
  await there.apply(change);
  expect(await waitFor('the names', async () => (await due()) === null)).toBe(true);
});

test('a change that somebody made in between is not lost: ours is refused and made anew', async () => {
  await caddy.start(operators());
  await settle([TURN]);
  const change = await watch.dueChange([TURN], false);
  const other = operators();
  other.apps.tls.certificates.automate = [OPERATORS, 'new.example.test'];
  await caddy.reload(other);
  await expect(watch.apply(change as never)).rejects.toMatchObject({ code: 'CONFLICT' });
  await bring([TURN]);
  expect(await caddy.config('apps/tls/certificates/automate')).toEqual([OPERATORS, 'new.example.test', TURN]);
});

test('a name that the operator has in Caddy already is left to the operator, and found all the same', async () => {
  const own = operators();
  own.apps.tls.certificates.automate = [TURN];
  await caddy.start(own);
  await bring([TURN]);
  expect(await caddy.config('apps')).toEqual(own.apps);
  await issued(TURN);
  await bring([]);
  expect(await caddy.config('apps')).toEqual(own.apps);
});

test('a Caddy without any configuration gets one, and Caddy itself chooses the authority', async () => {
  await caddy.start({});
  await bring([TURN]);
  expect(await caddy.config('apps/tls')).toEqual({
    certificates: { automate: [TURN] },
    automation: { policies: [{ '@id': 'orama-certificates', subjects: [TURN] }] },
  });
});

test('a name of several nodes is proved by HTTP, which any of them can answer', async () => {
  await caddy.start(operators());
  await bring([TURN], true);
  expect(await caddy.config('apps/tls/automation/policies/0/issuers/0/challenges')).toEqual({
    'tls-alpn': { disabled: true },
  });
  await issued(TURN);
});

test('without a Caddy it says so, and what is to be taken out is gone with it', async () => {
  await expect(bring([TURN])).rejects.toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('start it') });
  expect(watch.problemOf(TURN)).toMatch(`no Caddy answers at ${caddy.admin}: `);
  await bring([]);
  await caddy.start(operators());
  await bring([TURN]);
  expect(watch.problemOf(TURN)).toBe(undefined);
});

test('what Caddy refuses is told with its reason, and tried again only after a while', async () => {
  const own = operators();
  await caddy.start(own);
  await settle([TURN]);
  const change = await watch.dueChange([TURN], false);
  const wrong = { ...change, value: { automation: { policies: [{ issuers: [{ module: 'nobody' }] }] } } };
  await expect(watch.apply(wrong as never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(watch.problemOf(TURN)).toContain('unknown module: tls.issuance.nobody');
  expect(await watch.dueChange([TURN], false)).toBe(null);
  clock.advance(10_000);
  expect(await watch.dueChange([TURN], false)).toMatchObject({ path: 'apps/tls' });
  expect(watch.problemOf(TURN)).toBe(undefined);
});

test('a name that Caddy gets no certificate for is told after a minute, one that is not renewed before it ends', async () => {
  const own = operators();
  own.apps.tls.automation.policies = [{ issuers: [{ ...acme(), ca: 'https://127.83.1.9:1/dir' }] }] as never;
  await caddy.start(own);
  await bring([TURN]);
  expect(watch.problemOf(TURN)).toBe(undefined);
  clock.advance(51_000);
  expect(watch.problemOf(TURN)).toBe(
    `Caddy has been asked for a certificate of ${TURN} for 1 min, and none is in ${caddy.storage}: its log says why (journalctl -u caddy)`,
  );
  store('some-issuer', TURN, issue(TURN));
  await watch.certificates([TURN]);
  expect(watch.problemOf(TURN)).toBe(undefined);
  clock.advance(1.7 * 86_400_000);
  expect(watch.problemOf(TURN)).toMatch(`Caddy does not renew the certificate of ${TURN}, which ends 20`);
});

test('of several issuers the certificate that was issued last counts, as long as it is a good one', async () => {
  await caddy.start(operators());
  await bring([]);
  const older = issue(TURN);
  for (const issuer of ['a-issuer', 'c-issuer']) store(issuer, TURN, older);
  const found = async () => (await watch.certificates([TURN])).get(TURN)?.pair.cert;
  expect(await found()).toBe(older.cert);
  // openssl writes times in whole seconds.
  const newer = await waitFor('a later second', async () => {
    const pair = issue(TURN);
    store('b-issuer', TURN, pair);
    return (await found()) === pair.cert && pair;
  });
  store('b-issuer', TURN, { ...newer, key: older.key });
  expect(await found()).toBe(older.cert);
  store('b-issuer', TURN, issue('turn.ns-other.orama.test'));
  expect(await found()).toBe(older.cert);
  const wildcard = 'wildcard_.ns-demo.orama.test';
  await waitFor('a later second', async () => {
    const pair = issue('*.ns-demo.orama.test');
    store('d-issuer', wildcard, pair);
    return (await found()) === pair.cert;
  });
});

test('nothing in the folders of Caddy is followed elsewhere', async () => {
  await caddy.start(operators());
  await bring([]);
  const { cert, key } = issue(TURN);
  store('issuer', TURN, { cert, key });
  const file = join(caddy.storage, 'certificates', 'issuer', TURN, `${TURN}.key`);
  renameSync(file, join(caddy.storage, 'elsewhere.key'));
  symlinkSync(join(caddy.storage, 'elsewhere.key'), file);
  expect((await watch.certificates([TURN])).size).toBe(0);
  renameSync(join(caddy.storage, 'elsewhere.key'), file);
  expect((await watch.certificates([TURN])).size).toBe(1);
});

const certificates = new CertificateAuthority();
afterAll(() => certificates.close());
const issue = (name: string) => certificates.issue(name);

function store(issuer: string, name: string, { cert, key }: { cert: string; key: string }): void {
  const folder = join(caddy.storage, 'certificates', issuer, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.crt`), cert);
  writeFileSync(join(folder, `${name}.key`), key);
}
