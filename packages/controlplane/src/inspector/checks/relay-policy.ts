import { type Check, type Finding, NOTHING_ENABLED, ok, unlessTakenOut } from '../check.ts';

const FORBIDDEN = 403;

export const relayPolicy: Check = {
  id: 'relay-policy',
  question: 'does every TURN server refuse to relay to private addresses?',
  needs: ['peers'],
  judge(facts) {
    const { enabled, peers } = facts;
    if (enabled.length === 0) return [NOTHING_ENABLED];
    return [...Map.groupBy(peers, ({ namespace, node }) => `${namespace} ${node}`).values()].flatMap(
      (tried): Finding[] => {
        const { namespace = '', node = '' } = tried[0] ?? {};
        const where = { namespace, node };
        const broken = tried.find(({ failure }) => failure !== null);
        if (broken) {
          const mend = `orama turn check --namespace ${namespace}`;
          const seen = `could not be tried: ${broken.failure}`;
          return [unlessTakenOut(facts, { severity: 'critical', ...where, seen, mend })];
        }
        const granted = tried.filter(({ code }) => code === null).map(({ peer }) => peer);
        const others = tried.filter(({ code }) => code !== null && code !== FORBIDDEN);
        if (granted.length > 0) {
          const mend = `orama turn explain-peer ${namespace} ${granted[0]} names the rule; until it is mended: orama turn drain --node ${node}`;
          return [{ severity: 'critical', ...where, seen: `relays to ${granted.join(', ')}`, mend }];
        }
        if (others.length > 0) {
          const answers = others.map(({ peer, code }) => `${peer}: ${code}`).join(', ');
          const mend = `on ${node}: journalctl -u orama-turn`;
          return [{ severity: 'warning', ...where, seen: `answers other than 403 (${answers})`, mend }];
        }
        return [ok(`refuses ${tried.map(({ peer }) => peer).join(', ')}`, where)];
      },
    );
  },
};
