import type { NodeReport } from '@orama/protocol';
import type { NodeRow } from '@orama/store';
import { expect, test } from 'vitest';
import type { Desired } from '../reconcile/desired.ts';
import { type Asked, reportCluster } from './report.ts';

const CONFIG = {
  ...{ clusterId: 'c', baseDomain: 'orama.test', node: 'node-1' },
  turn: { advertise: 'names' as const, port443: false },
};
const process = { up: true, reason: null, restarts: 0, event_loop_delay_ms: 1 };
const certificate = {
  ...{ name: 'turn.ns-demo.orama.test', issuer: 'x', self_signed: false, name_matches: true },
  ...{ not_after: '2027-01-01T00:00:00.000Z', days: 60 },
};
type Placed = NodeReport['namespaces'][number];

const placed = (over: Partial<Placed> = {}): Placed => ({
  ...{ namespace: 'demo', sfu_up: true, turn_up: true, sfu: { ...process, rooms: 1, peers: 3 } },
  turn: { reason: null, restarts: 0, allocations: 3, relayed_bps: 1_000, certificate, certificate_reason: null },
  ...over,
});

function answered(number: number, dns: string[], over: Partial<NodeReport> = {}): Asked {
  const seen = (kind: 'turn' | 'gateway', addresses: string[] | null) => ({
    ...{ name: `${kind}.orama.test`, namespace: 'demo', kind, asked: 'a:53', addresses, reason: null },
  });
  const report: NodeReport = {
    ...{ node: `node-${number}`, at: '', version: '1', controlplane: process, gateway: { ...process, sessions: 0 } },
    store: { up: true, driver: 'sqlite', role: null, latency_ms: 1, reason: null },
    turn: { ...process, draining: false, held: false, allocations: 3, relayed_bps: 1_000 },
    port_blocks: { sfu: { free: 3, total: 20 }, turn: { free: 3, total: 20 } },
    namespaces: [placed()],
    dns: [seen('turn', dns), seen('gateway', ['192.0.2.1', '192.0.2.2'])],
    ...over,
  };
  return { node: node(number), report, reason: null };
}
const node = (number: number) =>
  ({ id: `node-${number}`, state: 'active', publicIp: `192.0.2.${number}`, publicIp6: null }) as NodeRow;
const silent = (number: number): Asked => ({ node: node(number), report: null, reason: 'no answer within 5000 ms' });

const desired = (sfuNodeCount: number, turnNodeCount: number) =>
  new Map([
    ['demo', { wanted: true, config: { namespace: 'demo', state: 'enabled', sfuNodeCount, turnNodeCount } }],
  ]) as unknown as Desired;
const report = (asked: Asked[], counts: [number, number] = [2, 2]) =>
  reportCluster(CONFIG, asked, desired(...counts), 0);
const withTls = (over: Partial<NonNullable<Placed['turn']>>): Partial<NodeReport> => ({
  namespaces: [placed({ turn: { ...(placed().turn as NonNullable<Placed['turn']>), ...over } })],
});
const shown = (asked: Asked[], counts?: [number, number]) =>
  report(asked, counts).problems.map(({ severity, text }) => `${severity}: ${text}`);
const stoppedTurn = (held: boolean): NodeReport['turn'] => ({
  ...{ ...process, up: false, reason: 'gone', draining: false, held, allocations: null, relayed_bps: null },
});
const texts = (asked: Asked[], counts?: [number, number]) => report(asked, counts).problems.map(({ text }) => text);

const BOTH = ['192.0.2.1', '192.0.2.2'];

test('a cluster where everything runs has no problem, and its namespaces have the sums of the nodes', () => {
  expect(report([answered(1, BOTH), answered(2, BOTH)])).toMatchObject({
    problems: [],
    namespaces: [
      {
        ...{ namespace: 'demo', sfu_up: 2, sfu_wanted: 2, turn_up: 2, turn_wanted: 2, dns_agrees: true },
        ...{ rooms: 2, peers: 6, relayed_bps: 2_000, certificate_days: 60 },
      },
    ],
  });
});

test('a node that does not answer is a problem by name, and what it had is not counted as up', () => {
  const seen = report([answered(1, BOTH), silent(2)]);
  expect(seen.nodes[1]).toMatchObject({ node: 'node-2', report: null, reason: 'no answer within 5000 ms' });
  expect(seen.namespaces[0]).toMatchObject({ sfu_up: 1, turn_up: 1 });
  // Whether it serves is not known, so that DNS may name it or not.
  expect(seen.namespaces[0]?.dns_agrees).toBe(true);
  expect(report([answered(1, ['192.0.2.1']), silent(2)]).namespaces[0]?.dns_agrees).toBe(true);
  expect(seen.problems.map(({ text }) => text)).toEqual([
    'node-2 does not answer: no answer within 5000 ms',
    'sfu of demo is up on 1 of 2 nodes',
    'turn of demo is up on 1 of 2 nodes',
  ]);
  expect(texts([silent(1), silent(2)])).toContain('no DNS server answers for demo');
});

test('DNS that names who does not serve, or not who does, differs', () => {
  expect(texts([answered(1, ['192.0.2.1']), answered(2, BOTH)])).toEqual(['turn.orama.test at a:53 lacks 192.0.2.2']);
  const noTurn = placed({ turn_up: false, turn: { ...(placed().turn as object), reason: 'gone' } as Placed['turn'] });
  const down = [answered(1, BOTH), answered(2, BOTH, { namespaces: [noTurn] })];
  expect(texts(down, [2, 1])).toEqual([
    'turn of demo on node-2 is down: gone',
    'turn.orama.test at a:53 has 192.0.2.2, which does not serve',
  ]);
  const draining = answered(2, BOTH);
  if (draining.report) draining.report.turn.draining = true;
  expect(texts([answered(1, BOTH), draining])).toContain('turn.orama.test at a:53 has 192.0.2.2, which does not serve');
});

test.each<[string, Partial<NodeReport>, string]>([
  [
    'a store that is down',
    { store: { up: false, driver: 'rqlite', role: null, latency_ms: null, reason: 'no leader' } },
    'store of node-2 is down: no leader',
  ],
  [
    'ports that are used up',
    { port_blocks: { sfu: { free: 0, total: 20 }, turn: { free: 1, total: 20 } } },
    'node-2 has no ports left for the sfu of another namespace',
  ],
  [
    'a certificate that ends soon',
    withTls({ certificate: { ...certificate, days: 13 } }),
    'the certificate of turn.ns-demo.orama.test ends in 13 days on node-2',
  ],
  [
    'TLS that fails',
    withTls({ certificate: null, certificate_reason: 'ECONNREFUSED' }),
    'no TLS client gets to turn.ns-demo.orama.test (ECONNREFUSED) on node-2',
  ],
  [
    'a certificate that nobody vouches for',
    withTls({ certificate: { ...certificate, self_signed: true } }),
    'the certificate of turn.ns-demo.orama.test is self-signed on node-2',
  ],
  [
    'a certificate for other names',
    withTls({ certificate: { ...certificate, name_matches: false } }),
    'the certificate for turn.ns-demo.orama.test was made for other names on node-2',
  ],
])('%s is a problem of its node', (_what, over, text) => {
  expect(report([answered(1, BOTH), answered(2, BOTH, over)]).problems).toEqual([
    expect.objectContaining({ node: 'node-2', text }),
  ]);
});

test('where URIs carry addresses a self-signed certificate is as it should be', () => {
  const asked = [answered(1, BOTH), answered(2, BOTH, withTls({ certificate: { ...certificate, self_signed: true } }))];
  const config = { ...CONFIG, turn: { ...CONFIG.turn, advertise: 'addresses' as const } };
  expect(reportCluster(config, asked, desired(2, 2), 0).problems).toEqual([]);
});

test('a DNS server that is silent is a problem, also where others answer', () => {
  const dns = (asked: string, reason: string) => [
    { name: 'turn.orama.test', namespace: 'demo', kind: 'turn' as const, asked, addresses: null, reason },
  ];
  const seen = report([answered(1, BOTH), answered(2, BOTH, { dns: dns('b:53', 'ETIMEOUT') })]);
  expect(seen.problems).toEqual([
    { severity: 'critical', node: 'node-2', namespace: null, text: 'DNS at b:53 does not answer node-2: ETIMEOUT' },
  ]);
  expect(seen.namespaces[0]?.dns_agrees).toBe(false);
});

test('with TURN on port 443 a node whose TURN server is down serves no gateway either', () => {
  const held = answered(2, BOTH);
  if (held.report) held.report.turn.up = false;
  const only = held.report?.dns.filter(({ kind }) => kind === 'gateway') ?? [];
  if (held.report) held.report.dns = only.map((seen) => ({ ...seen, addresses: ['192.0.2.1'] }));
  const faults = (port443: boolean) =>
    reportCluster({ ...CONFIG, turn: { ...CONFIG.turn, port443 } }, [answered(1, BOTH), held], desired(2, 2), 0)
      .problems.map(({ text }) => text)
      .filter((text) => text.startsWith('gateway.orama.test'));
  expect(faults(false)).toEqual(['gateway.orama.test at a:53 lacks 192.0.2.2']);
  expect(faults(true)).toEqual(['gateway.orama.test at a:53 has 192.0.2.2, which does not serve']);
});

test('what an operator took out is a warning with what puts an end to it, unless nobody is left who serves', () => {
  const noTurn = placed({ turn_up: false, turn: { ...(placed().turn as object), reason: 'gone' } as Placed['turn'] });
  const turn = stoppedTurn(true);
  const gateways = answered(1, BOTH).report?.dns.filter(({ kind }) => kind === 'gateway') ?? [];
  const named = [...gateways, { ...(gateways[0] as (typeof gateways)[0]), kind: 'turn' as const }];
  const dns = named.map((seen) => ({ ...seen, addresses: seen.kind === 'turn' ? ['192.0.2.1'] : BOTH }));
  const held = answered(2, BOTH, { turn, namespaces: [noTurn], dns });
  const first = answered(1, BOTH, { dns });
  expect(shown([first, held])).toEqual([
    'warning: turn of node-2 is drained; it serves again with "orama turn resume --node node-2"',
    'warning: turn of demo is up on 1 of 2 nodes',
  ]);
  const crashed = answered(1, BOTH, { turn: stoppedTurn(false), namespaces: [noTurn], dns });
  expect(shown([crashed, held])).toContain('critical: turn of demo is up on 0 of 2 nodes');
  expect(shown([crashed, held])).toContain('critical: turn of node-1 is down: gone');
});

test('what a drained node leaves missing is a warning also where the namespace is gone from it, and what crashed is not', () => {
  const dns = answered(1, ['192.0.2.1']).report?.dns.map((seen) => ({ ...seen, addresses: ['192.0.2.1'] })) ?? [];
  const first = answered(1, [], { dns });
  const left = answered(2, [], { dns, namespaces: [], turn: stoppedTurn(true) });
  const drained: Asked = { ...left, node: { ...left.node, state: 'draining' } };
  const wanted = [
    'warning: node-2 is drained; it serves again with "orama node resume node-2"',
    'warning: sfu of demo is up on 1 of 2 nodes',
    'warning: turn of demo is up on 1 of 2 nodes',
  ];
  expect(shown([first, drained])).toEqual(wanted);
  // Until it has left, its SFU may end first.
  const noSfu = placed({ sfu_up: false, sfu: { ...process, up: false, reason: 'gone', rooms: null, peers: null } });
  if (drained.report) drained.report.namespaces = [{ ...noSfu, turn_up: null, turn: null }];
  expect(shown([first, drained])).toEqual(wanted);
  expect(shown([first, drained], [3, 2])).toContain('critical: sfu of demo is up on 1 of 3 nodes');
  const crashed = answered(1, [], { dns, namespaces: [noSfu] });
  expect(shown([crashed, drained])).toEqual(
    expect.arrayContaining([
      'critical: sfu of demo is up on 0 of 2 nodes',
      'critical: sfu of demo on node-1 is down: gone',
    ]),
  );
});

test('a TURN server that ends without an operator is no drain', () => {
  const ending = answered(2, ['192.0.2.1'], { turn: { ...stoppedTurn(false), draining: true } });
  const seen = shown([answered(1, ['192.0.2.1']), ending]);
  expect(seen).toContain('critical: turn of node-2 is down: gone');
  expect(seen.join()).not.toContain('is drained');
});
