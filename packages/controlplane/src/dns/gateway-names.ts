import { type ControlplaneConfig, namespaceHost } from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import type { Desired } from '../reconcile/desired.ts';
import { addressType, type DnsRecord } from './writer.ts';

const TTL_SEC = 60;

/**
 * The names of the gateways of all namespaces that have WebRTC: `ns-<namespace>.<base domain>` leads to every node that runs a
 * healthy gateway. They follow from the nodes alone, so that nothing is stored of them. Where no gateway is healthy they lead
 * to all nodes that are there: a gateway that may come back is better than none. Pure.
 */
export function gatewayRecords(
  desired: Desired,
  nodes: readonly NodeRow[],
  { baseDomain, turn }: Pick<ControlplaneConfig, 'baseDomain' | 'turn'>,
): DnsRecord[] {
  // What comes to port 443 passes the TURN server there.
  const needed = turn.port443 ? ['gateway', 'turn'] : ['gateway'];
  const there = nodes.filter(({ state }) => state !== 'gone');
  const candidates = [
    there.filter(
      ({ state, reachable, core }) =>
        state === 'active' && reachable && needed.every((service) => isHealthy(core, service)),
    ),
    there.filter(({ reachable }) => reachable),
    there,
  ];
  const leads = candidates.find(({ length }) => length > 0) ?? [];
  const addresses = new Set(
    leads.flatMap(({ publicIp, publicIp6 }) => (publicIp6 ? [publicIp, publicIp6] : [publicIp])),
  );
  const wanted = [...desired.values()].filter((entry) => entry.wanted);
  return wanted.flatMap(({ config }) =>
    [...addresses].map(
      (value): DnsRecord => ({
        fqdn: namespaceHost(config.namespace, baseDomain),
        type: addressType(value),
        value,
        ttlSec: TTL_SEC,
      }),
    ),
  );
}

function isHealthy(core: NodeRow['core'], wanted: string): boolean {
  return core.some(({ service, healthy }) => service === wanted && healthy);
}
