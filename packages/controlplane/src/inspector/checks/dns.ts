import { namespaceHost, turnDomain } from '@orama/protocol';
import {
  type Check,
  type Facts,
  type Finding,
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
    if (facts.enabled.length === 0) return [NOTHING_ENABLED];
    const { baseDomain, turnNames } = facts.cluster;
    return facts.dns.flatMap(({ server, failure, names, isDelegation }): Finding[] => {
      if (failure !== null && isDelegation) {
        const mend = `delegate ${baseDomain} in its parent zone: docs/operations.md, "DNS"`;
        // Where URIs carry addresses, calls go without names.
        return [{ severity: turnNames ? 'critical' : 'warning', seen: `${server}: ${failure}`, mend }];
      }
      if (failure !== null) return [{ severity: 'critical', seen: `${server}: ${failure}`, mend: WHO_WRITES }];
      return facts.enabled.flatMap((namespace) =>
        expected(facts, namespace).map(({ name, addresses }) => {
          const seen = names.get(name) ?? [];
          return compare(facts, server, { name, namespace: namespace.name, wanted: addresses, seen });
        }),
      );
    });
  },
};

const WHO_WRITES =
  'orama leases names the node that writes DNS; there: journalctl -u orama-controlplane, and orama reconcile --dry-run --node <node>';

/** The names of a namespace and the addresses of the nodes that serve behind each now. */
function expected(facts: Facts, { name }: Namespace): { name: string; addresses: string[] }[] {
  const { cluster, nodes } = facts;
  const addressesOf = (ids: readonly string[]) =>
    cluster.nodes.flatMap(({ id, publicIp, publicIp6 }) =>
      ids.includes(id) ? [publicIp, publicIp6].filter((address) => address !== null) : [],
    );
  const turn = placed(facts, 'turn', name).map(({ node }) => node);
  // What comes to port 443 passes the TURN server there.
  const leads = (id: string) =>
    nodes.get(id)?.gateway.healthy && (!cluster.turnPort443 || nodes.get(id)?.turn.running === true);
  const gateways = cluster.nodes.filter(({ id, state }) => state === 'active' && leads(id));
  return [
    {
      name: turnDomain(name, cluster.baseDomain),
      addresses: addressesOf(turn.filter((node) => servesTurn(nodes.get(node), name))),
    },
    { name: namespaceHost(name, cluster.baseDomain), addresses: addressesOf(gateways.map(({ id }) => id)) },
  ];
}

interface Compared {
  name: string;
  namespace: string;
  wanted: readonly string[];
  seen: readonly string[];
}

function compare(facts: Facts, server: string, { name, namespace, wanted, seen }: Compared): Finding {
  const there = [...new Set(seen)].sort();
  if (there.length > 0 && there.join() === [...new Set(wanted)].sort().join())
    return ok(`${server}: ${name} leads to ${there.join(', ')}`, { namespace });
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
    return { severity: works ? 'warning' : 'critical', namespace, seen: `${seenText} (${out.why})`, mend: out.mend };
  return {
    severity: works && extra.length === 0 ? 'warning' : 'critical',
    namespace,
    seen: seenText,
    mend: WHO_WRITES,
  };
}

function outAt(facts: Facts, address: string): { why: string; mend: string } | null {
  const node = facts.cluster.nodes.find(({ publicIp, publicIp6 }) => [publicIp, publicIp6].includes(address));
  return node ? takenOut(facts, node.id) : null;
}
