import { describe, expect, it, test } from 'vitest';
import { NODES, node, publicIp, wellFacts } from '../../testing/well-facts.ts';
import type { Check } from './check.ts';
import { CHECKS } from './checks/index.ts';
import { inspect, worstOf } from './inspect.ts';

it('says of a cluster on which everything is well that it is, by every check', () => {
  const results = inspect(CHECKS, wellFacts(), []);
  expect(results.map(({ id }) => id)).toEqual(CHECKS.map(({ id }) => id));
  expect(results.filter(({ severity }) => severity !== 'ok')).toEqual([]);
  expect(results.flatMap(({ findings }) => findings).filter(({ mend }) => mend !== undefined)).toEqual([]);
});

describe('who does not answer', () => {
  it('is a failure of every check that needed it, by name, and of no other', () => {
    const facts = wellFacts();
    facts.nodes.delete('node-2');
    const silent = { node: 'node-2', needs: 'nodes' as const, why: 'node-2 does not answer', mend: 'look at it' };
    const results = inspect(CHECKS, facts, [silent]);
    for (const { needs, id } of CHECKS) {
      const result = results.find((one) => one.id === id);
      const told = result?.findings.some(({ seen, node }) => node === 'node-2' && seen === silent.why);
      expect([id, told]).toEqual([id, needs.includes('nodes')]);
      if (told) expect(result?.severity).toBe('critical');
    }
  });

  it('fails every check when not even the store can be asked', () => {
    const silent = { node: null, needs: 'store' as const, why: 'no controlplane answers', mend: 'start it' };
    const results = inspect(CHECKS, null, [silent]);
    expect(results.map(({ severity }) => severity)).toEqual(CHECKS.map(() => 'critical'));
  });
});

test('a check that says nothing is a failure', () => {
  const silent: Check = { id: 'silent', question: '?', needs: [], judge: () => [] };
  expect(inspect([silent], wellFacts(), [])[0]).toMatchObject({ severity: 'critical' });
  expect(worstOf([])).toBe('ok');
});

test('what a drained TURN server does not do is a warning in every check, with the command that brings it back', () => {
  const facts = wellFacts();
  Object.assign(node(facts, 2).turn, { running: false, held: true });
  const sockets = node(facts, 2).sockets;
  node(facts, 2).sockets = sockets.filter(({ port }) => port !== 3478 && port !== 5349);
  for (const attempt of facts.turn.filter((one) => one.node === 'node-2'))
    Object.assign(attempt, { failure: { message: 'refused', hint: 'open the port' }, certificate: null });
  for (const attempt of facts.peers.filter((one) => one.node === 'node-2')) attempt.failure = 'refused';
  const bad = inspect(CHECKS, facts, []).flatMap(({ id, findings }) =>
    findings.filter(({ severity }) => severity !== 'ok').map((finding) => ({ id, ...finding })),
  );
  expect(new Set(bad.map(({ id }) => id))).toEqual(
    new Set(['services', 'turn-redundancy', 'turn-reachable', 'relay-policy', 'dns', 'certificate', 'port-rows']),
  );
  for (const { id, severity, mend } of bad)
    expect({ id, severity, mend }).toEqual({ id, severity: 'warning', mend: 'orama turn resume --node node-2' });
});

test('a server that this machine has no way to is told as not tried, and is no fault', () => {
  const facts = wellFacts();
  for (const transport of ['udp', 'tls'] as const)
    facts.turn.push({
      ...{ namespace: 'myapp', node: 'node-1', transport, server: '[2001:db8::1]:3478' },
      ...{ failure: null, certificate: null, untried: 'this machine has no IPv6' },
    });
  const results = inspect(CHECKS, facts, []);
  expect(results.filter(({ severity }) => severity !== 'ok')).toEqual([]);
  expect(results.flatMap(({ findings }) => findings).map(({ seen }) => seen)).toContain(
    'udp [2001:db8::1]:3478: not tried, for this machine has no IPv6',
  );
});

test('a name that leads to drained servers alone is critical, with the command that brings one back', () => {
  const facts = wellFacts();
  for (const number of [1, 2]) Object.assign(node(facts, number).turn, { running: false, held: true });
  const dns = inspect(CHECKS, facts, []).find(({ id }) => id === 'dns');
  expect(dns?.findings[0]).toMatchObject({ severity: 'critical', mend: 'orama turn resume --node node-1' });
});

test('of a drained node it is the node that is brought back', () => {
  const facts = wellFacts();
  Object.assign(facts.cluster.nodes[1] ?? {}, { state: 'draining' });
  Object.assign(node(facts, 2).turn, { draining: true });
  const [turn] = inspect(CHECKS, facts, []).filter(({ id }) => id === 'turn-redundancy');
  expect(turn?.findings[0]).toMatchObject({ severity: 'warning', mend: 'orama node resume node-2' });
});

test('with TURN on port 443 no name leads to a node whose TURN server is down', () => {
  const facts = wellFacts();
  facts.cluster.turnPort443 = true;
  Object.assign(node(facts, 3).turn, { running: false });
  for (const { names } of facts.dns)
    for (const name of ['ns-myapp.example.com', 'api.example.com']) names.set(name, NODES.slice(0, 2).map(publicIp));
  expect(inspect(CHECKS, facts, []).find(({ id }) => id === 'dns')?.severity).toBe('ok');
});

test('where no namespace is enabled, nodes that are down are told all the same', () => {
  const facts = { ...wellFacts(), enabled: [], turn: [], peers: [] };
  expect(inspect(CHECKS, facts, []).filter(({ severity }) => severity !== 'ok')).toEqual([]);
  for (const each of facts.nodes.values()) each.gateway = { healthy: false, reason: 'down', version: null };
  expect(worstOf(inspect(CHECKS, facts, []))).toBe('critical');
});
