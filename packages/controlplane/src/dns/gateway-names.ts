import { type ControlplaneConfig, namespaceHost, operatorHost } from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import type { Desired } from '../reconcile/desired.ts';
import { addressType, type DnsRecord } from './writer.ts';

const TTL_SEC = 60;

/**
 * The names of gateways: `ns-<namespace>.<base domain>` of all namespaces that have WebRTC, and where gateways serve operators
 * that of the cluster, which needs no namespace. Pure.
 */
export function gatewayNames(
  desired: Desired,
  { baseDomain, gateway }: Pick<ControlplaneConfig, 'baseDomain' | 'gateway'>,
): string[] {
  const wanted = [...desired.values()].filter((entry) => entry.wanted);
  return [
    ...(gateway.operatorApi ? [operatorHost(baseDomain)] : []),
    ...wanted.map(({ config }) => namespaceHost(config.namespace, baseDomain)),
  ];
}

/**
 * The names of gateways lead to every node that runs a healthy one. They follow from the nodes alone, so that nothing is stored
 * of them. Where no gateway is healthy they lead to all nodes that are there: one that may come back is better than none. Pure.
 */
export function gatewayRecords(
  desired: Desired,
  nodes: readonly NodeRow[],
  { turn, ...config }: Pick<ControlplaneConfig, 'baseDomain' | 'gateway' | 'turn'>,
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
  return gatewayNames(desired, config).flatMap((fqdn) =>
    [...addresses].map((value): DnsRecord => ({ fqdn, type: addressType(value), value, ttlSec: TTL_SEC })),
  );
}

function isHealthy(core: NodeRow['core'], wanted: string): boolean {
  return core.some(({ service, healthy }) => service === wanted && healthy);
}
