import type { NodeFacts } from '@orama/protocol';
import { type Check, type Finding, ok } from '../check.ts';

export const versionSkew: Check = {
  id: 'version-skew',
  question: 'do all nodes, all services of each, and this program run the same version?',
  needs: ['nodes'],
  judge({ nodes, version }) {
    const counts = Map.groupBy(nodes.values(), (node) => node.version);
    const [most] = [...counts].sort(([, a], [, b]) => b.length - a.length)[0] ?? [];
    const findings = [...nodes.values()].map((facts): Finding => {
      const { node } = facts;
      if (facts.version === most) return ofServices(facts);
      return {
        severity: 'warning',
        node,
        seen: `version ${facts.version}, and most run ${most}`,
        mend: `orama node drain ${node}; install ${most} there; orama node resume ${node}`,
      };
    });
    if (most !== undefined && version !== most) {
      findings.push({
        severity: 'warning',
        seen: `this program is version ${version}, and the nodes run ${most}`,
        mend: `use the orama of version ${most}`,
      });
    }
    return findings;
  },
};

/** Programs are replaced on the disk, and run on as they were until they are started again. */
function ofServices({ node, version, gateway, turn, sfus }: NodeFacts): Finding {
  const others = [
    { unit: 'orama-gateway', version: gateway.version },
    { unit: 'orama-turn', version: turn.version },
    ...sfus.map((sfu) => ({ unit: `orama-namespace-sfu@${sfu.namespace}`, version: sfu.version })),
  ].filter((service) => service.version !== null && service.version !== version);
  if (others.length === 0) return ok(`version ${version}`, { node });
  return {
    severity: 'warning',
    node,
    seen: `version ${version}, and ${others.map((one) => `${one.unit} still runs ${one.version}`).join(', ')}`,
    mend: `orama node drain ${node}; on ${node}: systemctl restart ${others.map(({ unit }) => unit).join(' ')}; orama node resume ${node}`,
  };
}
