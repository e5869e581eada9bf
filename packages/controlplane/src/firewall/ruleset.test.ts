import { expect, test } from 'vitest';
import { closedByHand, closedChains, parseRuleset } from './ruleset.ts';

const SSH = { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 22 } };
const COUNTER = { counter: { packets: 0, bytes: 0 } };

interface Given {
  family: string;
  name: string;
  /** Of a base chain. */
  policy?: 'accept' | 'drop';
  rules?: object[][];
}

/** As nft prints a table "t" (of iptables: "filter") with these chains. */
function ruleset(table: string, chains: readonly Given[]) {
  const nftables = chains.flatMap(({ family, name, policy, rules = [] }, index) => [
    {
      chain: { family, table, name, handle: index, ...(policy && { type: 'filter', hook: 'input', prio: 0, policy }) },
    },
    ...rules.map((expr, handle) => ({ rule: { family, table, chain: name, handle, expr } })),
  ]);
  return parseRuleset(JSON.stringify({ nftables: [{ metainfo: { json_schema_version: 1 } }, ...nftables] }));
}

test('closedChains() are those of IP that drop by their policy or with a last rule', () => {
  const rules = [
    [SSH, { accept: null }],
    [COUNTER, { drop: null }],
  ];
  const found = ruleset('t', [
    { family: 'inet', name: 'policy', policy: 'drop' },
    { family: 'ip6', name: 'rule', policy: 'accept', rules },
    { family: 'ip', name: 'open', policy: 'accept', rules: [[SSH, { drop: null }]] },
    { family: 'arp', name: 'input', policy: 'drop' },
    { family: 'bridge', name: 'input', policy: 'drop' },
    { family: 'inet', name: 'none of the hook', rules },
  ]);
  expect(closedChains(found).map(({ name, lastRule }) => ({ name, lastRule }))).toEqual([
    { name: 'policy', lastRule: null },
    { name: 'rule', lastRule: 1 },
  ]);
  expect(closedByHand(found)).toBeNull();
});

test('closedByHand() names iptables, whose chains are left to it', () => {
  const input = { family: 'ip', name: 'INPUT', policy: 'drop' } as const;
  expect(closedByHand(ruleset('filter', [input]))).toBe('iptables');
  expect(closedByHand(ruleset('filter', [{ ...input, family: 'ip6' }]))).toBe('ip6tables');
  expect(closedByHand(ruleset('filter', [{ ...input, policy: 'accept' }]))).toBeNull();
});

test('closedByHand() names a chain that leads all the rest to one that refuses it', () => {
  const refuse = { family: 'inet', name: 'refuse', rules: [[COUNTER, { reject: null }]] };
  const between = { family: 'inet', name: 'between', rules: [[{ goto: { target: 'refuse' } }]] };
  const input = (...rules: object[][]) =>
    ruleset('t', [refuse, between, { family: 'inet', name: 'input', policy: 'accept', rules }]);
  const jump = (target: string) => ({ jump: { target } });
  expect(closedByHand(input([COUNTER, jump('refuse')]))).toBe('the nftables chain inet t input');
  expect(closedByHand(input([jump('between')]))).toBe('the nftables chain inet t input');
  expect(closedByHand(input([SSH, jump('refuse')]))).toBeNull();
  expect(closedByHand(input([jump('elsewhere')]))).toBeNull();
});
