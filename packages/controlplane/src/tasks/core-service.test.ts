import { expect, test } from 'vitest';
import { testConfig } from '../../testing/node-context.ts';
import { gatewayConfig } from './core-service.ts';

test('the gateway believes the proxies that its operator names, and a Caddy of the node that has our names', () => {
  const trusted = (source: 'none' | 'caddy', ...trustedProxies: string[]) => {
    const base = testConfig('/data');
    const certificates = source === 'caddy' ? { source, gateways: true, admin: 'http://127.0.0.1:2019' } : { source };
    return gatewayConfig({ ...base, certificates, gateway: { ...base.gateway, trustedProxies } }).trustedProxies;
  };
  expect(trusted('none')).toEqual([]);
  expect(trusted('none', '127.0.0.1')).toEqual(['127.0.0.1']);
  expect(trusted('caddy')).toEqual(['127.0.0.1', '::1']);
  expect(trusted('caddy', '127.0.0.1', '10.0.0.9')).toEqual(['127.0.0.1', '::1', '10.0.0.9']);
});
