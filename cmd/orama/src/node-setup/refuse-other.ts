import { UserError } from '@orama/core';
import type { ControlplaneConfig } from '@orama/protocol';
import type { FirewallOption } from './choose-firewall.ts';
import { PATHS } from './paths.ts';

/** What was asked for of a machine, as far as it was said. */
export interface Asked {
  name?: string;
  publicIp?: string;
  publicIp6?: string;
  baseDomain?: string;
  store?: ControlplaneConfig['store']['driver'];
  region?: string;
  firewall?: FirewallOption;
  dns?: ControlplaneConfig['dns']['writer'];
  certificates?: ControlplaneConfig['certificates']['source'];
  callPage?: boolean;
  operatorApi?: boolean;
}

/** Another init or join changes nothing about a node. Throws CONFLICT that says what differs, and how it is changed. */
export function refuseOther(config: ControlplaneConfig, asked: Asked): void {
  const fixed = differing([
    ['base domain', asked.baseDomain, config.baseDomain],
    ['name', asked.name, config.node],
    ['public address', asked.publicIp, config.publicIp],
    ['store', asked.store, config.store.driver],
  ]);
  const settings = differing([
    ['public IPv6 address', asked.publicIp6, config.publicIp6 ?? 'none'],
    ['region', asked.region, config.region],
    ['DNS writer', asked.dns, config.dns.writer],
    ['source of certificates', asked.certificates, config.certificates.source],
    [
      'call page',
      asked.callPage === undefined ? undefined : 'served',
      config.gateway.callPage ? 'served' : 'not served',
    ],
    [
      'API for operators',
      asked.operatorApi ? 'served' : undefined,
      config.gateway.operatorApi ? 'served' : 'not served',
    ],
  ]);
  const firewall = differing([
    // What was found is not known any more.
    ['firewall', asked.firewall === 'auto' ? undefined : asked.firewall, config.firewall.driver],
  ]);
  const differs = [...fixed, ...settings, ...firewall];
  if (differs.length === 0) return;
  const rights = firewall.length > 0 ? ', and this command again, which gives it the rights for that firewall' : '';
  throw new UserError('CONFLICT', `this machine is a node already, and ${differs.join(', ')}; nothing was changed`, {
    hint:
      fixed.length > 0
        ? 'take it out first: orama node leave'
        : `change it in ${PATHS.config}, then: systemctl restart orama-controlplane${rights}`,
  });
}

function differing(facts: [what: string, wanted: string | undefined, is: string][]): string[] {
  return facts.flatMap(([what, wanted, is]) => (wanted === undefined || wanted === is ? [] : [`its ${what} is ${is}`]));
}
