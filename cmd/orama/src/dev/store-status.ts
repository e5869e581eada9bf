import { describeError } from '@orama/core';
import type { RqliteNode } from '@orama/store';
import { storeConfig } from './layout.ts';
import type { DevState } from './state.ts';

/** What a local cluster's store is like. */
export type DevStore =
  | { driver: 'sqlite'; file: string }
  | { driver: 'rqlite'; nodes: RqliteNode[] }
  | { driver: 'rqlite'; problem: string };

/** Asks the store of a local cluster. One that does not answer is told as such. */
export async function devStore(dataDir: string, { nodes }: DevState): Promise<DevStore> {
  const [first] = nodes;
  if (!first) throw new Error('a local cluster has a node');
  const config = storeConfig(dataDir, first, nodes);
  if (config.driver === 'sqlite') return { driver: 'sqlite', file: config.file };
  const { connectStore, RqliteDatabase } = await import('@orama/store');
  const db = connectStore(config);
  try {
    return { driver: 'rqlite', nodes: db instanceof RqliteDatabase ? await db.cluster.nodes() : [] };
  } catch (thrown) {
    return { driver: 'rqlite', problem: describeError(thrown) };
  } finally {
    await db.close();
  }
}

/** The store in one line. */
export function describeStore(store: DevStore): string {
  if (store.driver === 'sqlite') return `sqlite, ${store.file}`;
  if ('problem' in store) return `rqlite, not available (${store.problem})`;
  const leader = store.nodes.find((node) => node.leader)?.id;
  const reachable = store.nodes.filter((node) => node.reachable).length;
  return `rqlite, ${leader === undefined ? 'no leader' : `leader ${leader}`}, ${reachable} of ${store.nodes.length} nodes reachable`;
}
