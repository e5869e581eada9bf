import { type Check, type Facts, type Finding, type Namespace, NOTHING_ENABLED, ok, placed } from '../check.ts';

export const sfuCoverage: Check = {
  id: 'sfu-coverage',
  question: 'does every namespace have as many SFUs that answer as it asked for?',
  needs: ['nodes'],
  judge(facts) {
    if (facts.enabled.length === 0) return [NOTHING_ENABLED];
    return facts.enabled.map((namespace) => judgeOne(facts, namespace));
  },
};

function judgeOne(facts: Facts, { name, sfuNodeCount }: Namespace): Finding {
  const sfus = placed(facts, 'sfu', name).map(({ node }) => {
    const sfu = facts.nodes.get(node)?.sfus.find(({ namespace }) => namespace === name);
    return { node, healthy: sfu?.healthy === true, why: sfu ? sfu.reason : 'the node does not answer' };
  });
  const up = sfus.filter(({ healthy }) => healthy).length;
  if (up >= sfuNodeCount) return ok(`${up} of ${sfuNodeCount} SFUs answer`, { namespace: name });
  const down = sfus.filter(({ healthy }) => !healthy).map(({ node, why }) => `${node}: ${why}`);
  if (sfus.length < sfuNodeCount) down.push(`${sfuNodeCount - sfus.length} have no node that can take them`);
  return {
    severity: up === 0 ? 'critical' : 'warning',
    namespace: name,
    seen: `${up} of ${sfuNodeCount} SFUs answer (${down.join('; ')})`,
    mend: `orama namespace webrtc-status --namespace ${name}; on the node: journalctl -u orama-namespace-sfu@${name}`,
  };
}
