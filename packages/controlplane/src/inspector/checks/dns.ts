import { namespaceHost, turnDomain } from '@orama/protocol';
import {
  type Check,
  type Facts,
  type Finding,
  isLeftToOthers,
  type Namespace,
  NOTHING_ENABLED,
  ok,
  placed,
  servesTurn,
  takenOut,
} from '../check.ts';

export const dns: Check = {
  id: 'dns',
  question: 'does every nameserver lead to the nodes that serve, and to no other?',
  needs: ['dns', 'nodes'],
  judge(facts) {
    const expected = [...expectedOfCluster(facts), ...facts.enabled.flatMap((each) => expectedOf(facts, each))];
    if (expected.length === 0) return [NOTHING_ENABLED];
    const { baseDomain, turnNames } = facts.cluster;
    return facts.dns.flatMap(({ server, failure, names, isDelegation }): Finding[] => {
      if (failure !== null && isDelegation) {
        const mend = `delegate ${baseDomain} in its parent zone: docs/operations.md, "DNS"`;
        // Where URIs carry addresses, calls go without names.
        return [{ severity: turnNames ? 'critical' : 'warning', seen: `${server}: ${failure}`, mend }];
      }
      if (failure !== null) return [{ severity: 'critical', seen: `${server}: ${failure}`, mend: WHO_WRITES }];
      return expected.map((one) => compare(facts, server, one, names.get(one.name) ?? []));
    });
  },
};

const WHO_WRITES =
  'orama leases names the node that writes DNS; there: journalctl -u orama-controlplane, and orama reconcile --dry-run --node <node>';

/** A name, and the addresses of the nodes that serve behind it now. */
interface Expected {
  name: string;
  wanted: readonly string[];
  /** Of the finding. */
  where: Pick<Finding, 'namespace'>;
}

/** In a zone of another server the cluster's own name is left to who has it, and is absent beside records of other types. */
function leftToOthers({ cluster }: Facts, server: string, name: string, seen: readonly string[]): Finding {
  const what = seen.length === 0 ? 'has no address' : `leads to ${seen.join(', ')}`;
  const mend = `take away what the zone has by this name, and it leads to the gateways within 10 s; where there is nothing: ${WHO_WRITES}. Meanwhile operators are served at every ns-<namespace>.${cluster.baseDomain}`;
  return { severity: 'warning', seen: `${server}: ${name} ${what}, and not to this cluster`, mend };
}

function expectedOf(facts: Facts, { name: namespace }: Namespace): Expected[] {
  const { cluster, nodes } = facts;
  const turn = placed(facts, 'turn', namespace).flatMap(({ node }) =>
    servesTurn(nodes.get(node), namespace) ? [node] : [],
  );
  const where = { namespace };
  return [
    { name: turnDomain(namespace, cluster.baseDomain), wanted: addressesOf(cluster, turn), where },
    { name: namespaceHost(namespace, cluster.baseDomain), wanted: addressesOf(cluster, gatewaysOf(facts)), where },
  ];
}

function expectedOfCluster(facts: Facts): Expected[] {
  const { cluster } = facts;
  if (cluster.operatorHost === null) return [];
  return [{ name: cluster.operatorHost, wanted: addressesOf(cluster, gatewaysOf(facts)), where: {} }];
}

function gatewaysOf({ cluster, nodes }: Facts): string[] {
  // What comes to port 443 passes the TURN server there.
  const leads = (id: string) =>
    nodes.get(id)?.gateway.healthy && (!cluster.turnPort443 || nodes.get(id)?.turn.running === true);
  return cluster.nodes.flatMap(({ id, state }) => (state === 'active' && leads(id) ? [id] : []));
}

function addressesOf(cluster: Facts['cluster'], ids: readonly string[]): string[] {
  return cluster.nodes.flatMap(({ id, publicIp, publicIp6 }) =>
    ids.includes(id) ? [publicIp, publicIp6].filter((address) => address !== null) : [],
  );
}

function compare(facts: Facts, server: string, { name, wanted, where }: Expected, seen: readonly string[]): Finding {
  if (isLeftToOthers(facts, name, seen)) return leftToOthers(facts, server, name, seen);
  const there = [...new Set(seen)].sort();
  if (there.length > 0 && there.join() === [...new Set(wanted)].sort().join())
    return ok(`${server}: ${name} leads to ${there.join(', ')}`, where);
  const extra = there.filter((address) => !wanted.includes(address));
  const missing = wanted.filter((address) => !there.includes(address));
  const wrong = [
    ...(seen.length === 0 ? ['there is no such name'] : []),
    ...(extra.length > 0 ? [`leads to ${extra.join(', ')}, where nothing serves it`] : []),
    ...(missing.length > 0 ? [`does not lead to ${missing.join(', ')}`] : []),
    ...(wanted.length === 0 ? ['no node serves it'] : []),
  ];
  const seenText = `${server}: ${name}: ${wrong.join('; ')}`;
  // As long as it leads to one that serves, clients that try all addresses get there.
  const works = there.some((address) => wanted.includes(address));
  // Records of a server that was just taken out end some seconds later.
  const outs = extra.map((address) => outAt(facts, address));
  const [out] = outs;
  if (out && outs.every((one) => one !== null))
    return { severity: works ? 'warning' : 'critical', ...where, seen: `${seenText} (${out.why})`, mend: out.mend };
  return {
    severity: works && extra.length === 0 ? 'warning' : 'critical',
    ...where,
    seen: seenText,
    mend: WHO_WRITES,
  };
}

function outAt(facts: Facts, address: string): { why: string; mend: string } | null {
  const node = facts.cluster.nodes.find(({ publicIp, publicIp6 }) => [publicIp, publicIp6].includes(address));
  return node ? takenOut(facts, node.id) : null;
}
