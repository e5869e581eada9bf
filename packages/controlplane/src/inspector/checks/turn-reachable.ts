import { type Check, type Finding, NOTHING_ENABLED, ok, type TurnAttempt, unlessTakenOut } from '../check.ts';

export const turnReachable: Check = {
  id: 'turn-reachable',
  question: 'does every TURN server give this machine an allocation, over UDP, TCP and TLS, and relay through it?',
  needs: ['turn'],
  judge(facts) {
    if (facts.enabled.length === 0) return [NOTHING_ENABLED];
    return facts.turn.map((attempt) => unlessTakenOut(facts, judgeOne(attempt)));
  },
};

function judgeOne({ namespace, node, transport, server, failure, untried }: TurnAttempt): Finding {
  const where = { namespace, node };
  if (untried !== undefined) return ok(`${transport} ${server}: not tried, for ${untried}`, where);
  if (failure === null) return ok(`${transport} ${server}: allocated, and packets went through`, where);
  return {
    severity: 'critical',
    ...where,
    seen: `${transport} ${server}: ${failure.message}`,
    mend: failure.hint ?? `orama turn check --namespace ${namespace}`,
  };
}
