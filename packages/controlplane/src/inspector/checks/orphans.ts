import { type NodeFacts, namespaceHost, turnDomain } from '@orama/protocol';
import { type Block, type Check, type Facts, type Finding, ok } from '../check.ts';

const UNIT = /^orama-namespace-(sfu|turn)@(.+)$/;

export const orphans: Check = {
  id: 'orphans',
  question: 'does everything that runs or lies around belong to a namespace that wants it there?',
  needs: ['nodes', 'dns'],
  judge(facts) {
    const nodes = [...facts.nodes.values()].flatMap((node) => {
      const found = orphansOf(node, facts.cluster.blocks);
      return found.length > 0 ? found : [ok('nothing without an owner', { node: node.node })];
    });
    return [...nodes, ...recordsWithoutOwner(facts)];
  },
};

function orphansOf(facts: NodeFacts, blocks: readonly Block[]): Finding[] {
  const { node, dataDir, manager } = facts;
  // What is to leave has its owner until the node has confirmed that it is gone.
  const has = (service: Block['service'] | null, namespace: string) =>
    blocks.some(
      (block) =>
        block.node === node && block.namespace === namespace && (service === null || block.service === service),
    );
  const orphan = (what: string, mend: string): Finding => ({
    severity: 'warning',
    node,
    seen: `${what} belongs to no namespace that is placed here`,
    mend: `on ${node}: ${mend}`,
  });
  const isStray = (unit: string) => {
    const [, service, namespace] = UNIT.exec(unit) ?? [];
    return namespace !== undefined && !has(service === 'sfu' ? 'sfu' : 'turn', namespace);
  };
  const running = facts.units.filter(isStray);
  const stop = (unit: string) =>
    manager === 'systemd' ? `systemctl stop ${unit}` : `kill the process in ${dataDir}/run/${unit}.json`;
  return [
    ...running.map((unit) => orphan(`the unit ${unit}`, stop(unit))),
    ...facts.unitFolders
      .filter((unit) => isStray(unit) && !running.includes(unit))
      .map((unit) => orphan(`${dataDir}/configs/${unit}`, `rm -r ${dataDir}/configs/${unit}`)),
    ...facts.namespaceFolders
      .filter((namespace) => !has(null, namespace))
      .map((namespace) => orphan(`${dataDir}/namespaces/${namespace}`, `rm -r ${dataDir}/namespaces/${namespace}`)),
    ...facts.turn.tenants
      .filter((namespace) => !has('turn', namespace))
      .map((namespace) =>
        orphan(
          `the TURN tenant ${namespace}`,
          `curl --unix-socket ${dataDir}/run/turn.sock -X DELETE http://turn/tenants/${namespace}`,
        ),
      ),
  ];
}

/** Names that are stored, or served, for namespaces that have no WebRTC. */
function recordsWithoutOwner({ cluster, dns }: Facts): Finding[] {
  const enabled = cluster.namespaces.filter(({ webrtc }) => webrtc !== 'off');
  const names = [
    cluster.operatorHost,
    ...enabled.flatMap(({ name }) => [turnDomain(name, cluster.baseDomain), namespaceHost(name, cluster.baseDomain)]),
  ];
  const stored = cluster.records.filter(({ fqdn }) => !names.includes(fqdn)).map(({ fqdn }) => fqdn);
  const served = dns.flatMap(({ server, names: found }) =>
    [...found].flatMap(([name, values]) =>
      values.length > 0 && !names.includes(name) ? [`${name} at ${server}`] : [],
    ),
  );
  const found = [...new Set([...stored, ...served])];
  if (found.length === 0) return [ok(`${cluster.records.length} DNS records, all of namespaces that have WebRTC`)];
  return found.map((name) => ({
    severity: 'warning',
    seen: `the DNS record ${name} belongs to no namespace that has WebRTC`,
    mend: 'orama leases names the node that writes DNS; there: journalctl -u orama-controlplane',
  }));
}
