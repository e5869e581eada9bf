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

export const turnRedundancy: Check = {
  id: 'turn-redundancy',
  question: 'does every namespace have as many TURN servers that serve it as it asked for?',
  needs: ['nodes'],
  judge(facts) {
    if (facts.enabled.length === 0) return [NOTHING_ENABLED];
    return facts.enabled.map((namespace) => judgeOne(facts, namespace));
  },
};

function judgeOne(facts: Facts, { name, turnNodeCount }: Namespace): Finding {
  const nodes = placed(facts, 'turn', name).map(({ node }) => node);
  const down = nodes.filter((node) => !servesTurn(facts.nodes.get(node), name));
  const up = nodes.length - down.length;
  if (up >= turnNodeCount) return ok(`${up} of ${turnNodeCount} TURN servers serve it`, { namespace: name });
  const reasons = down.map((node) => `${node}: ${whyNot(facts, node)}`);
  if (nodes.length < turnNodeCount) reasons.push(`${turnNodeCount - nodes.length} have no node that can take them`);
  const [out] = down.flatMap((node) => takenOut(facts, node) ?? []);
  return {
    severity: up === 0 ? 'critical' : 'warning',
    namespace: name,
    seen: `${up} of ${turnNodeCount} TURN servers serve it (${reasons.join('; ')})`,
    mend: out?.mend ?? `orama namespace webrtc-status --namespace ${name}; on the node: journalctl -u orama-turn`,
  };
}

function whyNot(facts: Facts, node: string): string {
  const seen = facts.nodes.get(node);
  if (!seen) return 'the node does not answer';
  if (seen.turn.running && !seen.turn.draining) return 'the namespace is not attached';
  return takenOut(facts, node)?.why ?? seen.turn.reason ?? 'no TURN server runs';
}
