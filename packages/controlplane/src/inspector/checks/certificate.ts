import {
  type Check,
  type Facts,
  type Finding,
  type GatewayAttempt,
  isLeftToOthers,
  NOTHING_ENABLED,
  ok,
  type TurnAttempt,
  unlessTakenOut,
} from '../check.ts';

const DAY_MS = 86_400_000;
/** Renewal comes at a third of a certificate's life: with 90 days, nothing has renewed it for two weeks by then. */
const WARNING_DAYS = 14;
const CRITICAL_DAYS = 3;

export const certificate: Check = {
  id: 'certificate',
  question:
    'does every TURN server and gateway show browsers a certificate for its name that they trust, for long enough?',
  needs: ['turn', 'gateways', 'dns'],
  judge(facts) {
    const { enabled, turn, cluster, nowMs } = facts;
    if (enabled.length === 0 && facts.gateways.length === 0) return [NOTHING_ENABLED];
    const isLeft = leadsElsewhere(facts);
    const ofGateways = facts.gateways.map((attempt) => {
      const finding = judgeOne(attempt, OF_GATEWAY, true, nowMs);
      if (attempt.namespace !== null || !isLeft || finding.severity === 'ok') return finding;
      const seen = `${finding.seen} (the name leads elsewhere)`;
      return { ...finding, severity: 'warning' as const, seen, mend: 'orama inspector --only dns' };
    });
    const ofTurn = turn
      .filter(({ transport, untried }) => transport === 'tls' && untried === undefined)
      .map((attempt) => {
        const finding = judgeOne(attempt, OF_TURN, cluster.turnNames, nowMs);
        return attempt.certificate ? finding : unlessTakenOut(facts, finding);
      });
    return [...ofTurn, ...ofGateways];
  },
};

/** No authority vouches for the cluster's own name while it is somebody else's. */
function leadsElsewhere(facts: Facts): boolean {
  const { operatorHost } = facts.cluster;
  return (
    operatorHost !== null &&
    facts.dns.some(
      ({ failure, names }) => failure === null && isLeftToOthers(facts, operatorHost, names.get(operatorHost) ?? []),
    )
  );
}

interface Mends {
  none: (attempt: TurnAttempt | GatewayAttempt) => string;
  bad: string;
}
const OF_TURN: Mends = {
  none: ({ namespace }) => `orama turn check --namespace ${namespace}`,
  bad: 'see where certificates come from: orama turn status; then docs/operations.md, "Certificates of TURN over TLS"',
};
const OF_GATEWAY: Mends = {
  none: ({ node }) => `on ${node}: ss -tlnp names who has port 443; journalctl -u caddy`,
  bad: 'journalctl -u caddy on the node says why there is no better one; deploy/Caddyfile is how it is set up',
};

function judgeOne(attempt: TurnAttempt | GatewayAttempt, mends: Mends, hasName: boolean, nowMs: number): Finding {
  const { namespace, node, server, failure, certificate } = attempt;
  const where = { ...(namespace !== null && { namespace }), node };
  if (!certificate) {
    const why = failure?.message ?? 'the server showed none';
    const mend = mends.none(attempt);
    return { severity: 'critical', ...where, seen: `${server}: no certificate was seen: ${why}`, mend };
  }
  const { issuer, validTo, distrust } = certificate;
  const leftMs = Date.parse(validTo) - nowMs;
  const days = Math.floor(leftMs / DAY_MS);
  const until = leftMs < 0 ? `ended at ${validTo}` : `${days} days left, until ${validTo}`;
  const seen = `${server}: ${distrust === null ? 'trusted' : `browsers refuse it: ${distrust}`}; ${until}; issuer ${issuer}`;
  const mend = mends.bad;
  if (leftMs < 0) return { severity: 'critical', ...where, seen, mend };
  // Where URIs carry addresses, as on a local cluster, nobody could vouch for one: clients use UDP and TCP there.
  if (distrust !== null) return hasName ? { severity: 'critical', ...where, seen, mend } : ok(seen, where);
  if (days < CRITICAL_DAYS) return { severity: 'critical', ...where, seen, mend };
  return days < WARNING_DAYS ? { severity: 'warning', ...where, seen, mend } : ok(seen, where);
}
