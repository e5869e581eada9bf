import { expect, test } from 'vitest';
import { nextOrder, withNames } from './caddy-names.ts';

const NAMES = ['turn.ns-demo.orama.test'];
const dnsProvider = { name: 'rfc2136', server: '10.0.0.53:53' };
const dns = { dns: { provider: dnsProvider } };
/** The issuers of our policy. */
function issuersOf(issuers: object[] | undefined, options: { shared?: boolean; dns?: boolean }): unknown {
  const current = { automation: { policies: [{ ...(issuers && { issuers }) }] } };
  const { shared = false } = options;
  const wanted = { names: NAMES, later: [], shared, dnsProvider: options.dns ? dnsProvider : null };
  const next = withNames(current, wanted) as { automation: { policies: { issuers?: unknown }[] } };
  return next.automation.policies[0]?.issuers;
}

test('where Caddy has a DNS provider, names are proved by DNS-01, on several nodes too', () => {
  const acme = { module: 'acme', ca: 'https://ca.test/dir' };
  for (const shared of [false, true])
    expect(issuersOf([acme, { module: 'internal' }], { dns: true, shared })).toEqual([
      { ...acme, challenges: dns },
      { module: 'internal' },
    ]);
  expect(issuersOf(undefined, { dns: true })).toEqual([{ module: 'acme', challenges: dns }]);
});

test('an operator’s own DNS provider stays, and so does a challenge over HTTP that is turned off', () => {
  const own = { module: 'acme', challenges: { dns: { provider: { name: 'cloudflare' } } } };
  expect(issuersOf([own], { dns: true, shared: true })).toEqual([own]);
  const onlyTls = { module: 'acme', challenges: { http: { disabled: true } } };
  expect(issuersOf([onlyTls], { shared: true })).toEqual([onlyTls]);
});

test('no certificate is made while a client connects, whatever the operator has for other names', () => {
  const current = { automation: { policies: [{ on_demand: true, key_type: 'rsa2048' }] } };
  expect(withNames(current, { names: NAMES, later: [], shared: false, dnsProvider: null })).toMatchObject({
    automation: {
      policies: [{ '@id': 'orama-certificates', subjects: NAMES, key_type: 'rsa2048' }, { on_demand: true }],
    },
  });
  expect(JSON.stringify(withNames(current, { names: NAMES, later: [], shared: false, dnsProvider: null }))).toMatch(
    /^((?!on_demand).)*on_demand((?!on_demand).)*$/,
  );
});

test('where all names have a policy of their own, the authority is that of the first', () => {
  const policies = [{ subjects: ['www.example.test'], issuers: [{ module: 'acme', ca: 'https://ca.test/dir' }] }];
  expect(
    withNames({ automation: { policies } }, { names: NAMES, later: [], shared: false, dnsProvider: null }),
  ).toEqual({
    certificates: { automate: NAMES },
    automation: {
      policies: [{ '@id': 'orama-certificates', subjects: NAMES, issuers: policies[0]?.issuers }, ...policies],
    },
  });
});

test('what is no configuration of Caddy is not taken for one', () => {
  const wanted = { names: NAMES, later: [], shared: false, dnsProvider: null };
  for (const strange of ['tls', [], { automation: [] }, { certificates: { automate: 'all' } }])
    expect(() => withNames(strange, wanted)).toThrow();
});

test('nextOrder tells the authority that our names are asked of first, as far as that can be told', () => {
  const directoryOf = (...issuers: object[]) =>
    nextOrder({ automation: { policies: [{ subjects: ['www.test'] }, { issuers }] } }).directory;
  expect(nextOrder(null)).toEqual({ directory: 'https://acme-v02.api.letsencrypt.org/directory', asked: new Set() });
  expect(directoryOf({ module: 'acme' }, { module: 'zerossl' })).toBe('https://acme-v02.api.letsencrypt.org/directory');
  expect(directoryOf({ module: 'acme', ca: 'https://ca.test/dir' })).toBe('https://ca.test/dir');
  expect(directoryOf({ module: 'acme', ca: 'https://{env.CA}/dir' })).toBe(undefined);
  expect(directoryOf({ module: 'internal' })).toBe(undefined);
  const ours = { '@id': 'orama-certificates', subjects: NAMES, issuers: [{ module: 'internal' }] };
  expect(nextOrder({ automation: { policies: [ours] } })).toEqual({
    directory: 'https://acme-v02.api.letsencrypt.org/directory',
    asked: new Set(NAMES),
  });
});
