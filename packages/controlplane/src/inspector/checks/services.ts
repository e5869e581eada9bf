import type { NodeFacts } from '@orama/protocol';
import { type Check, type Facts, type Finding, ok, takenOut } from '../check.ts';

interface Service {
  name: 'gateway' | 'turn' | 'dns' | 'store';
  /** Why it does not serve; null when it does. */
  reason: string | null;
  /** What mends it on a node. */
  mend: string;
  /** Whether an operator wants it so. */
  isWanted?: true;
}

export const services: Check = {
  id: 'services',
  question: 'does every node serve as gateway, TURN server, nameserver and store, as far as it is one?',
  needs: ['nodes'],
  judge(facts) {
    const all = [...facts.nodes.values()].map((node) => ({ node: node.node, own: servicesOf(facts, node) }));
    return all.flatMap(({ node, own }) => {
      const down = own.filter(({ reason }) => reason !== null);
      if (down.length === 0) return [ok(`${own.map(({ name }) => name).join(', ')} serve`, { node })];
      return down.map(({ name, reason, mend, isWanted }): Finding => {
        const isServed = all.some((one) => one.own.some((other) => other.name === name && other.reason === null));
        const severity = isServed || isWanted ? 'warning' : 'critical';
        return { severity, node, seen: `${name} does not serve: ${reason}`, mend };
      });
    });
  },
};

function servicesOf(facts: Facts, { node, gateway, turn, dns, store }: NodeFacts): Service[] {
  const out = takenOut(facts, node);
  const on = (mend: string) => `on ${node}: ${mend}`;
  const nameserver: Service = {
    ...{ name: 'dns', reason: dns.reason },
    mend: on('journalctl -u orama-controlplane; ss -tulpn names who holds port 53'),
  };
  return [
    { name: 'gateway', reason: gateway.reason, mend: on('journalctl -u orama-gateway') },
    out
      ? { name: 'turn', reason: out.why, mend: out.mend, isWanted: true }
      : {
          name: 'turn',
          reason: turn.running ? null : (turn.reason ?? 'it does not run'),
          mend: on('journalctl -u orama-turn'),
        },
    ...(dns.writer === 'embedded' ? [nameserver] : []),
    { name: 'store', reason: store.reason, mend: on('journalctl -u orama-rqlited; then orama store check') },
  ];
}
