import type { NodePlan } from '@orama/protocol';
import { type Check, type Facts, type Finding, ok } from '../check.ts';

export const reconcile: Check = {
  id: 'reconcile',
  question: 'is every node what the store says, with nothing left to do and nothing under way?',
  needs: ['plans'],
  judge: (facts) => [...underWay(facts), ...facts.plans.flatMap(judgePlan)],
};

/** The other checks judge what is enabled, and nothing else. */
function underWay({ cluster }: Facts): Finding[] {
  return cluster.namespaces
    .filter(({ webrtc }) => webrtc === 'enabling' || webrtc === 'disabling')
    .map(({ name, webrtc }) => ({
      severity: 'warning',
      namespace: name,
      seen: `is ${webrtc}, and not looked at by other checks meanwhile`,
      mend: 'orama operations list shows how far it is; the same command again goes on with it',
    }));
}

function judgePlan({ node, tasks }: NodePlan): Finding[] {
  const findings = tasks.flatMap(({ task, error, actions }) => {
    const open = actions.map(({ kind, subject, reason }) => `still has to do: ${kind} ${subject} (${reason})`);
    return [...(error === undefined ? [] : [`cannot tell what to do: ${error}`]), ...open].map(
      (what): Finding => ({
        severity: 'warning',
        node,
        seen: `the task ${task} ${what}`,
        mend: `on ${node}: journalctl -u orama-controlplane says why it fails`,
      }),
    );
  });
  return findings.length > 0 ? findings : [ok('nothing left to do', { node })];
}
