import type { UserError } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import { expect, test } from 'vitest';
import { type Asked, refuseOther } from './refuse-other.ts';

const node = {
  ...{ node: 'node-1', publicIp: '203.0.113.1', baseDomain: 'example.com' },
  store: { driver: 'rqlite' },
  ...{ region: 'default', firewall: { driver: 'ufw' }, dns: { writer: 'embedded' } },
  ...{ certificates: { source: 'none' }, gateway: { callPage: false } },
} as ControlplaneConfig;

test('what a node is already may be asked for again, and nothing else', () => {
  refuseOther(node, {});
  refuseOther(node, { name: 'node-1', publicIp: '203.0.113.1', baseDomain: 'example.com', store: 'rqlite' });
  refuseOther(node, { region: 'default', firewall: 'ufw', dns: 'embedded', certificates: 'none' });
  refuseOther(node, { firewall: 'auto' });
  expect(() => refuseOther(node, { publicIp: '203.0.113.9' })).toThrow('its public address is 203.0.113.1');
  expect(() => refuseOther(node, { name: 'other', store: 'sqlite' })).toThrow(
    'its name is node-1, its store is rqlite',
  );
});

test('a setting that is asked for differently is refused, and the file named in which it is changed', () => {
  const refusal = (asked: Asked) => {
    try {
      refuseOther(node, asked);
    } catch (thrown) {
      return thrown as UserError;
    }
    return undefined;
  };
  const settings = refusal({ firewall: 'none', certificates: 'caddy', callPage: true, operatorApi: true });
  expect(settings?.message).toContain(
    'its source of certificates is none, its call page is not served, its API for operators is not served, its firewall is ufw; nothing was changed',
  );
  expect(settings?.hint).toMatch(
    /^change it in \/etc\/orama\/controlplane.yaml, then: systemctl restart orama-controlplane, and this command again/,
  );
  expect(refusal({ callPage: true })?.hint).toMatch(/systemctl restart orama-controlplane$/);
  expect(refusal({ region: 'fra', dns: 'file' })?.message).toContain(
    'its region is default, its DNS writer is embedded',
  );
  expect(refusal({ publicIp6: '2001:db8::1' })?.message).toContain('its public IPv6 address is none');
  expect(refusal({ name: 'other', dns: 'file' })?.hint).toBe('take it out first: orama node leave');
});
