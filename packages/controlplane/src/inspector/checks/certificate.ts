import { type Check, type Finding, NOTHING_ENABLED, ok, type TurnAttempt, unlessTakenOut } from '../check.ts';

const DAY_MS = 86_400_000;
/** Renewal comes at a third of a certificate's life: with 90 days, nothing has renewed it for two weeks by then. */
const WARNING_DAYS = 14;
const CRITICAL_DAYS = 3;

export const certificate: Check = {
  id: 'certificate',
  question: 'does every TURN server show browsers a certificate for its name that they trust, for long enough?',
  needs: ['turn'],
  judge(facts) {
    const { enabled, turn, cluster, nowMs } = facts;
    if (enabled.length === 0) return [NOTHING_ENABLED];
    return turn
      .filter(({ transport }) => transport === 'tls')
      .map((attempt) => {
        const finding = judgeOne(attempt, cluster.turnNames, nowMs);
        return attempt.certificate ? finding : unlessTakenOut(facts, finding);
      });
  },
};

function judgeOne({ certificate, ...attempt }: TurnAttempt, hasName: boolean, nowMs: number): Finding {
  const { namespace, node, server, failure } = attempt;
  const where = { namespace, node };
  if (!certificate) {
    const why = failure?.message ?? 'the server showed none';
    const mend = `orama turn check --namespace ${namespace}`;
    return { severity: 'critical', ...where, seen: `${server}: no certificate was seen: ${why}`, mend };
  }
  const { issuer, validTo, distrust } = certificate;
  const leftMs = Date.parse(validTo) - nowMs;
  const days = Math.floor(leftMs / DAY_MS);
  const until = leftMs < 0 ? `ended at ${validTo}` : `${days} days left, until ${validTo}`;
  const seen = `${server}: ${distrust === null ? 'trusted' : `browsers refuse it: ${distrust}`}; ${until}; issuer ${issuer}`;
  const mend = `see where certificates come from: orama turn status; then docs/operations.md, "Certificates of TURN over TLS"`;
  if (leftMs < 0) return { severity: 'critical', ...where, seen, mend };
  // Where URIs carry addresses, as on a local cluster, nobody could vouch for one: clients use UDP and TCP there.
  if (distrust !== null) return hasName ? { severity: 'critical', ...where, seen, mend } : ok(seen, where);
  if (days < CRITICAL_DAYS) return { severity: 'critical', ...where, seen, mend };
  return days < WARNING_DAYS ? { severity: 'warning', ...where, seen, mend } : ok(seen, where);
}
