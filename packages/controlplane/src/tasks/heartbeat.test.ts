import { guardLease, raiseChangeCounter } from '@orama/store';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PulseCluster, type PulseNode } from '../../testing/pulse.ts';

const MINUTE_MS = 60_000;
const ALL = ['node-1', 'node-2', 'node-3'];

let cluster: PulseCluster;

// Their clocks are minutes apart. The store has none.
beforeEach(async () => {
  cluster = await PulseCluster.open([0, 10 * MINUTE_MS, -7 * MINUTE_MS]);
});
afterEach(() => cluster.close());

const holderOf = (name: 'liveness' | 'dns') =>
  cluster.nodes.find((node) => node.id === cluster.believers(name)?.holder);
const others = (...without: PulseNode[]) => ALL.filter((id) => !without.some((node) => node.id === id));
const isReachable = async (node: PulseNode) => (await cluster.reachable()).includes(node.id);

test('nodes whose clocks are minutes apart, and jump, find one holder and each other, and nothing changes', async () => {
  await cluster.pass(2);
  expect(await cluster.reachable()).toEqual(ALL);
  const leases = [cluster.believers('liveness'), cluster.believers('dns')];
  expect(leases).toEqual([expect.objectContaining({ generation: 1 }), expect.objectContaining({ generation: 1 })]);
  const since = (await cluster.node(1).store.nodes.list()).map(({ reachableSinceMs }) => reachableSinceMs);
  let second = 0;
  await cluster.pass(60, () => {
    second += 1;
    cluster.node((second % 3) + 1).skewMs += (second % 2 ? 1 : -1) * second * MINUTE_MS;
    expect([cluster.believers('liveness'), cluster.believers('dns')]).toEqual(leases);
  });
  expect((await cluster.node(1).store.nodes.list()).map(({ reachableSinceMs }) => reachableSinceMs)).toEqual(since);
});

test('a node that dies is unreachable within 8 s, also when it held the leases, and back within 2 s', async () => {
  await cluster.pass(3);
  const holder = holderOf('liveness') as PulseNode;
  const other = cluster.nodes.find((node) => node !== holder) as PulseNode;
  for (const dead of [other, holder]) {
    await cluster.pass(3);
    cluster.running.delete(dead);
    expect(await cluster.until(async () => !(await isReachable(dead)))).toBeLessThanOrEqual(8);
    expect(await cluster.reachable()).toEqual(others(dead));
    expect(holderOf('dns')).not.toBe(dead);
    dead.restart();
    cluster.running.add(dead);
    expect(await cluster.until(() => isReachable(dead))).toBeLessThanOrEqual(2);
  }
});

test('a node that was removed gives its leases up at once, and has none until it joins again', async () => {
  await cluster.pass(3);
  const removed = holderOf('liveness') as PulseNode;
  const { store } = cluster.node(1);
  await store.db.batch([store.nodes.setState(removed.id, 'gone')]);
  const isDone = async () => [cluster.believers('liveness'), cluster.believers('dns')].every((lease) => lease);
  await cluster.pass(1);
  expect(
    await cluster.until(async () => (await isDone()) && !holderOf('dns')?.id.includes(removed.id)),
  ).toBeLessThanOrEqual(3);
  expect(holderOf('liveness')).not.toBe(removed);
  for (const node of cluster.nodes) if (node !== removed) cluster.running.delete(node);
  await cluster.pass(20);
  expect(cluster.believers('liveness')).toBeNull();
  await store.db.batch([store.nodes.setState(removed.id, 'active')]);
  await cluster.until(isDone);
  expect(holderOf('liveness')).toBe(removed);
});

test('every node tells its load once a minute', async () => {
  const loads = async () => (await cluster.node(1).store.nodes.list()).map(({ load }) => load.loopDelayMs);
  await cluster.pass(58);
  expect(await loads()).toEqual([0, 0, 0]);
  await cluster.pass(4);
  expect(await loads()).toEqual([25, 25, 25]);
});

test('a node alone is reachable and holds the leases as soon as it beats, also after a restart', async () => {
  const { store } = cluster.node(1);
  cluster.running.clear();
  cluster.running.add(cluster.node(1));
  await cluster.pass(1);
  expect(await cluster.reachable()).toEqual(['node-1']);
  expect(cluster.believers('liveness')).toMatchObject({ holder: 'node-1', generation: 1 });
  cluster.node(1).restart();
  await cluster.pass(1);
  expect(cluster.believers('liveness')).toMatchObject({ holder: 'node-1', generation: 2 });
  expect((await store.leases.list()).map(({ holder }) => holder)).toEqual(['node-1', 'node-1']);
});

test.each(['nothing', 'reads'] as const)(
  'while of the store passes %s nobody is judged, and then the nodes get time to beat again',
  async (passes) => {
    await cluster.pass(3);
    const holder = holderOf('liveness') as PulseNode;
    const dead = cluster.nodes.find((node) => node !== holder) as PulseNode;
    // Last of all, it has seen every beat before.
    cluster.running.delete(holder);
    cluster.running.add(holder);
    await cluster.pass(1);
    for (const { link } of cluster.nodes) link.passes = passes;
    await cluster.pass(10);
    cluster.running.delete(dead);
    await cluster.pass(50);
    expect(cluster.believers('liveness')).toBeNull();
    expect(await cluster.reachable()).toEqual(ALL);
    // One is back at once, the other some seconds later, the dead one never.
    const [second] = cluster.running;
    holder.link.passes = 'all';
    await cluster.pass(5);
    if (second) second.link.passes = 'all';
    await cluster.pass(1);
    expect(await cluster.reachable()).toEqual(ALL);
    expect(await cluster.until(async () => !(await isReachable(dead)))).toBeLessThanOrEqual(8);
    expect(await cluster.reachable()).toEqual(others(dead));
  },
);

test('a store that answers slowly takes nobody and no lease away', async () => {
  await cluster.pass(3);
  const generations = [cluster.believers('liveness')?.generation, cluster.believers('dns')?.generation];
  for (const { link } of cluster.nodes) link.latencyMs = 250;
  await cluster.pass(20);
  expect(await cluster.reachable()).toEqual(ALL);
  const { leases } = cluster.node(1).store;
  expect((await leases.list()).map(({ generation }) => generation)).toEqual(generations);
});

test('a holder that is cut off from the store stops believing before another one takes over, and is unreachable', async () => {
  await cluster.pass(3);
  const cut = holderOf('liveness') as PulseNode;
  const generation = cluster.believers('liveness')?.generation ?? 0;
  cut.link.passes = 'nothing';
  // That two believe is what `pass` throws for.
  const tookMs = await cluster.until(async () => (cluster.believers('liveness')?.generation ?? 0) > generation);
  expect(tookMs).toBeLessThanOrEqual(7);
  await cluster.pass(2);
  expect(await cluster.reachable()).toEqual(others(cut));
  cut.link.passes = 'all';
  await cluster.pass(2);
  expect(await cluster.reachable()).toEqual(ALL);
  expect(holderOf('liveness')).not.toBe(cut);
});

test('a holder that was suspended for 20 s has nothing to say any more, and judges nobody', async () => {
  await cluster.pass(3);
  const stopped = holderOf('liveness') as PulseNode;
  const lease = stopped.leases.held('liveness');
  if (!lease) throw new Error('no lease');
  cluster.running.delete(stopped);
  await cluster.pass(20);
  expect(stopped.leases.held('liveness')).toBeNull();
  // What it was about to write when it was stopped.
  const late = stopped.store.nodes.setReachable({ id: others(stopped)[0] ?? '', beats: 0 }, false, 0);
  await expect(stopped.store.db.batch([...guardLease(lease), late, raiseChangeCounter])).rejects.toMatchObject({
    byGuard: true,
  });
  cluster.running.add(stopped);
  await cluster.pass(5);
  expect(await cluster.reachable()).toEqual(ALL);
  expect(holderOf('liveness')).not.toBe(stopped);
});

test('nodes that boot one after the other have half a minute, counted by those that are up', async () => {
  await cluster.pass(3);
  cluster.running.clear();
  await cluster.pass(600);
  for (const node of cluster.nodes) node.restart();
  const [first, second, third] = cluster.nodes as [PulseNode, PulseNode, PulseNode];
  cluster.running.add(first);
  await cluster.pass(25);
  cluster.running.add(second);
  expect(await cluster.reachable()).toEqual(ALL);
  expect(await cluster.until(async () => !(await isReachable(third)))).toBeGreaterThan(4);
  expect(await cluster.reachable()).toEqual(others(third));
});

test('whatever stops, is cut off or slow, and however clocks jump, no two nodes believe in the same lease', async () => {
  const fault = fc.record({
    node: fc.integer({ min: 1, max: 3 }),
    does: fc.constantFrom('stop', 'run', 'restart', 'cut', 'join', 'slow', 'fast', 'jump'),
    seconds: fc.integer({ min: 0, max: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { maxLength: 12 }), async (faults) => {
      const bed = await PulseCluster.open([0, 5 * MINUTE_MS, -5 * MINUTE_MS]);
      try {
        for (const { node: number, does, seconds } of faults) {
          const node = bed.node(number);
          if (does === 'stop') bed.running.delete(node);
          if (does === 'run' || does === 'restart') bed.running.add(node);
          if (does === 'restart') node.restart();
          if (does === 'cut' || does === 'join') node.link.passes = does === 'cut' ? 'nothing' : 'all';
          if (does === 'slow' || does === 'fast') node.link.latencyMs = does === 'slow' ? 900 : 0;
          if (does === 'jump') node.skewMs += 20 * MINUTE_MS * (seconds - 4);
          await bed.pass(seconds);
        }
      } finally {
        await bed.close();
      }
    }),
    { numRuns: 25 },
  );
});
