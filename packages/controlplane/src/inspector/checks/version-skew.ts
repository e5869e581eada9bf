import { type Check, type Finding, ok } from '../check.ts';

export const versionSkew: Check = {
  id: 'version-skew',
  question: 'do all nodes, and this program, run the same version?',
  needs: ['nodes'],
  judge({ nodes, version }) {
    const counts = Map.groupBy(nodes.values(), (node) => node.version);
    const [most] = [...counts].sort(([, a], [, b]) => b.length - a.length)[0] ?? [];
    const findings = [...nodes.values()].map((facts): Finding => {
      const { node } = facts;
      if (facts.version === most) return ok(`version ${facts.version}`, { node });
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
