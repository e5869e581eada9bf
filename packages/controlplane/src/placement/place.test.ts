import type { PortAllocationRow } from '@orama/store';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeRow } from '../../testing/rows.ts';
import type { PortRanges } from './allocate.ts';
import type { PlacementNode } from './candidates.ts';
import { type PlacementRequest, placeNamespace } from './place.ts';

const PORTS: PortRanges = {
  sfuSignaling: { start: 30_000, end: 30_099 },
  sfuMedia: { start: 20_000, end: 29_999 },
  sfuMediaBlock: 500,
  turnRelay: { start: 49_152, end: 65_535 },
  turnRelayBlock: 800,
  turnListenPort: 3478,
  turnTlsPort: 5349,
};
const node = (number: number, wireguardIp = `10.0.0.${number}`, changes: Partial<PlacementNode> = {}) =>
  nodeRow(number, { wireguardIp, ...changes });
const THREE = [node(1), node(2), node(3)];

function request(overrides: Partial<PlacementRequest> = {}): PlacementRequest {
  return {
    namespace: 'demo',
    nodes: THREE,
    allocations: [],
    sfuNodeCount: 3,
    turnNodeCount: 2,
    ports: PORTS,
    nowMs: 1,
    ...overrides,
  };
}

/** Places namespaces one after the other until `count` are placed. */
function placeMany(count: number, nodes = THREE): PortAllocationRow[] {
  const all: PortAllocationRow[] = [];
  for (let n = 0; n < count; n += 1) {
    all.push(...placeNamespace(request({ namespace: `ns${n}`, nodes, allocations: all })));
  }
  return all;
}

/** Ports that a row holds, as `address/protocol range`. */
function rangesOf(row: PortAllocationRow): { key: string; start: number; end: number }[] {
  return row.service === 'sfu'
    ? [
        { key: `${row.hostIp} tcp`, start: row.signalingPort, end: row.signalingPort },
        { key: `${row.hostIp} udp`, start: row.mediaPortStart, end: row.mediaPortEnd },
      ]
    : [{ key: `${row.hostIp} udp`, start: row.relayPortStart, end: row.relayPortEnd }];
}

function expectNoPortTwice(rows: readonly PortAllocationRow[]): void {
  const ranges = rows.flatMap(rangesOf);
  for (const [index, a] of ranges.entries()) {
    for (const b of ranges.slice(index + 1)) {
      if (a.key === b.key) expect(a.start <= b.end && b.start <= a.end, JSON.stringify([a, b])).toBe(false);
    }
  }
}

test('placeNamespace puts the SFU on three of three nodes and TURN on the two with the lowest ids', () => {
  const rows = placeNamespace(request());
  expect(rows.map((row) => `${row.service} ${row.nodeId}`)).toEqual([
    'sfu node-1',
    'sfu node-2',
    'sfu node-3',
    'turn node-1',
    'turn node-2',
  ]);
});

test('placeNamespace gives nobody the port where WireGuard listens, and twenty namespaces a relay block nevertheless', () => {
  const one = [node(1)];
  let rows: PortAllocationRow[] = [];
  for (let n = 0; n < 20; n += 1) {
    const wanted = { namespace: `ns${n}`, nodes: one, allocations: rows, sfuNodeCount: 1, turnNodeCount: 1 };
    rows = [...rows, ...placeNamespace(request(wanted))];
  }
  const blocks = rows.flatMap((row) => (row.service === 'turn' ? [row] : []));
  expect(blocks).toHaveLength(20);
  expect(blocks.filter((row) => row.relayPortStart <= 51_820 && row.relayPortEnd >= 51_820)).toEqual([]);
});

test('placeNamespace gives the next TURN to the node that has the fewest blocks', () => {
  const second = placeNamespace(request({ namespace: 'two', allocations: placeMany(1) }));
  expect(second.filter((row) => row.service === 'turn').map((row) => row.nodeId)).toEqual(['node-3', 'node-1']);
});

test('placeNamespace never gives a port of an address to two namespaces, whether or not nodes share addresses', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.record({ sfu: fc.integer({ min: 1, max: 3 }), turn: fc.integer({ min: 1, max: 3 }) }), {
        maxLength: 12,
      }),
      (addresses, wishes) => {
        const nodes = addresses.map((last, index) => node(index + 1, `10.0.0.${last}`));
        const all: PortAllocationRow[] = [];
        for (const [index, wish] of wishes.entries()) {
          const sfuNodeCount = Math.min(wish.sfu, nodes.length);
          const turnNodeCount = Math.min(wish.turn, nodes.length);
          let rows: PortAllocationRow[];
          try {
            rows = placeNamespace(
              request({ namespace: `ns${index}`, nodes, allocations: all, sfuNodeCount, turnNodeCount }),
            );
          } catch (thrown) {
            expect(thrown).toMatchObject({ code: 'PORTS_EXHAUSTED' });
            continue;
          }
          for (const [service, count] of [
            ['sfu', sfuNodeCount],
            ['turn', turnNodeCount],
          ] as const) {
            const chosen = rows.filter((row) => row.service === service).map((row) => row.nodeId);
            expect(chosen.length).toBe(count);
            expect(new Set(chosen).size).toBe(count);
          }
          all.push(...rows);
        }
        expectNoPortTwice(all);
      },
    ),
    { numRuns: 100 },
  );
});

test('placeNamespace does not depend on the order of nodes and rows', () => {
  const allocations = placeMany(3);
  fc.assert(
    fc.property(
      fc.shuffledSubarray(THREE, { minLength: 3 }),
      fc.shuffledSubarray(allocations, { minLength: allocations.length }),
      (nodes, rows) => {
        expect(placeNamespace(request({ nodes, allocations: rows }))).toEqual(placeNamespace(request({ allocations })));
      },
    ),
  );
});

test('a node takes 20 namespaces, and the 21st is refused naming the range and the nodes', () => {
  const full = placeMany(20);
  expectNoPortTwice(full);
  expect(() => placeNamespace(request({ namespace: 'one-too-many', allocations: full }))).toThrowError(
    expect.objectContaining({
      code: 'PORTS_EXHAUSTED',
      message: 'no SFU media 20000-29999 block is left on node-1, node-2, node-3; nothing was changed',
    }),
  );
});

test('placeNamespace passes over a full node while others can take the service', () => {
  const full = Array.from(
    { length: 20 },
    (_, n): PortAllocationRow => ({
      service: 'turn',
      nodeId: 'node-1',
      hostIp: '10.0.0.1',
      namespace: `ns${n}`,
      allocatedAtMs: 1,
      listenPort: 3478,
      tlsPort: 5349,
      relayPortStart: 49_152 + n * 800,
      relayPortEnd: 49_152 + n * 800 + 799,
    }),
  );
  const others = [node(2), node(3)].flatMap(({ id, wireguardIp }) =>
    full.map((row) => ({ ...row, nodeId: id, hostIp: wireguardIp })).slice(0, 19),
  );
  const rows = placeNamespace(request({ allocations: [...full, ...others], sfuNodeCount: 1 }));
  expect(
    rows
      .filter((row) => row.service === 'turn')
      .map((row) => row.nodeId)
      .sort(),
  ).toEqual(['node-2', 'node-3']);
});

test('placeNamespace refuses when fewer nodes are there than asked for', () => {
  expect(() => placeNamespace(request({ nodes: THREE.slice(0, 2) }))).toThrowError(
    expect.objectContaining({ code: 'NOT_ENOUGH_NODES' }),
  );
});

test('placeNamespace takes as many nodes as there are when it is allowed to, and one of each at least', () => {
  const rows = placeNamespace(request({ nodes: THREE.slice(0, 1), allowDegraded: true }));
  expect(rows.map((row) => `${row.service} ${row.nodeId}`)).toEqual(['sfu node-1', 'turn node-1']);
  expect(() => placeNamespace(request({ nodes: [], allowDegraded: true }))).toThrowError(
    expect.objectContaining({ code: 'NOT_ENOUGH_NODES' }),
  );
  const full = placeMany(20, [node(1)].concat(THREE.slice(1)));
  expect(() => placeNamespace(request({ namespace: 'more', allocations: full, allowDegraded: true }))).toThrowError(
    expect.objectContaining({ code: 'PORTS_EXHAUSTED' }),
  );
});

test('placeNamespace takes no node that is draining, gone or unreachable', () => {
  const nodes = [
    node(1, undefined, { state: 'draining' }),
    node(2, undefined, { state: 'gone' }),
    node(3, undefined, { reachable: false }),
    node(4),
  ];
  const rows = placeNamespace(request({ nodes, sfuNodeCount: 1, turnNodeCount: 1 }));
  expect(rows.map((row) => row.nodeId)).toEqual(['node-4', 'node-4']);
  expect(() => placeNamespace(request({ nodes, turnNodeCount: 1 }))).toThrowError(
    expect.objectContaining({ code: 'NOT_ENOUGH_NODES', details: { nodes: ['node-4'] } }),
  );
});

test('placeNamespace spreads over addresses, then regions, before it looks at what the nodes have to do', () => {
  const turnNodes = (nodes: PlacementNode[], turnNodeCount: number) =>
    placeNamespace(request({ nodes, sfuNodeCount: 1, turnNodeCount })).flatMap(({ service, nodeId }) =>
      service === 'turn' ? [nodeId] : [],
    );
  const busy = { relayedBytesPerSec: 90_000_000, loopDelayMs: 200 };
  const regions = [
    node(1, undefined, { region: 'eu' }),
    node(2, undefined, { region: 'eu' }),
    node(3, undefined, { region: 'us', load: busy }),
  ];
  // Node 1 has the SFU.
  expect(turnNodes(regions, 2)).toEqual(['node-2', 'node-3']);
  const sharing = [node(1), node(2, '10.0.0.1', { region: 'eu' }), node(3, undefined, { load: busy })];
  expect(turnNodes(sharing, 2)).toEqual(['node-2', 'node-3']);
  const behindOneAddress = [node(1), node(2), node(3, undefined, { publicIp: node(2).publicIp, region: 'eu' })];
  expect(turnNodes(behindOneAddress, 2)).toEqual(['node-2', 'node-1']);
});

test('placeNamespace takes the less late, then the less relaying of nodes with as many blocks', () => {
  const load = (loopDelayMs: number, relayedBytesPerSec: number) => ({ load: { loopDelayMs, relayedBytesPerSec } });
  const first = (...nodes: PlacementNode[]) =>
    placeNamespace(request({ nodes, sfuNodeCount: 1, turnNodeCount: 1 }))[0]?.nodeId;
  expect(first(node(1, undefined, load(45, 0)), node(2, undefined, load(25, 9e7)))).toBe('node-2');
  expect(first(node(1, undefined, load(25, 9e6)), node(2, undefined, load(39, 2e6)))).toBe('node-2');
  // What differs by less than it varies decides nothing.
  expect(first(node(1, undefined, load(19, 999_999)), node(2, undefined, load(0, 0)))).toBe('node-1');
});
