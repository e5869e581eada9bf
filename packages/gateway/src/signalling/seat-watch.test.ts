import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { createStore, type Database, hashKey, openStore, type Store } from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Authenticator } from '../auth/authenticator.ts';
import { type Seated, SeatWatch } from './seat-watch.ts';

const KEY = 'ok_0123456789abcdef0123456789abcdef';
const PLACE = { nodeId: 'node-1', internalIp: '10.0.0.1', signalingPort: 30_000 };

// A store whose former leader goes on after a stop: what is read `weak` is as it was before everything here.
let before: Database;
let now: Database;
let store: Store;
let watch: SeatWatch;
let clock: VirtualClock;
let ended: string[];

beforeEach(async () => {
  [before, now] = (await Promise.all([1, 2].map(() => openStore({ driver: 'sqlite', file: ':memory:' })))) as [
    Database,
    Database,
  ];
  const query: Database['query'] = (sql, params, level) => (level === 'weak' ? before : now).query(sql, params);
  store = createStore({
    query,
    batch: (statements) => now.batch(statements),
    endWithin: () => {},
    close: async () => {},
  });
  await now.batch([
    { sql: `INSERT INTO namespaces (id, name, owner, created_at) VALUES ('n', 'demo', 'o', 1)` },
    {
      sql: `INSERT INTO namespace_webrtc_config (namespace, state, turn_shared_secret, enabled_by, enabled_at, generation)
            VALUES ('demo', 'enabled', '', 'o', 1, 1)`,
    },
    store.keys.insert({ id: 'k', namespace: 'demo', kind: 'owner', hash: hashKey(KEY), createdAtMs: 1 }),
  ]);
  const row = await store.rooms.claim({ namespace: 'demo', roomId: 'r', place: PLACE, seenGeneration: null, nowMs: 1 });
  if (!row) throw new Error('no room');
  clock = new VirtualClock();
  ended = [];
  const sfu = { nodeId: PLACE.nodeId, namespace: 'demo', address: PLACE.internalIp, port: PLACE.signalingPort };
  const principal = {
    ...{ namespace: 'demo', keyId: 'k', role: 'owner' as const, identity: 'key:k', keyHash: hashKey(KEY) },
    permissions: { publish: true, subscribe: true, data: true },
  };
  const session: Seated = {
    seat: { principal, placed: { row, home: sfu, sfu } },
    refuse: ({ code }) => void ended.push(code),
    moveAway: () => void ended.push('moved'),
  };
  const limits = { requestsPerKey: { burst: 10, perSec: 10 } };
  const authenticator = new Authenticator({ keys: store.keys, clock, baseDomain: 'orama.test', ...limits });
  const sessions = () => [session];
  watch = new SeatWatch({ sessions, rooms: store.rooms, authenticator, clock, logger: silentLogger });
});
afterEach(async () => {
  watch.stop();
  await Promise.all([before.close(), now.close()]);
});

test('check() sends nobody away on the word of a former leader of the store', async () => {
  await watch.check();
  expect(ended).toEqual([]);
});

test('check() sends after a room that has moved, or is deleted', async () => {
  const place = { ...PLACE, nodeId: 'node-2' };
  await store.rooms.claim({ namespace: 'demo', roomId: 'r', place, seenGeneration: 1, nowMs: 2 });
  await watch.check();
  await store.rooms.remove('demo', 'r');
  await watch.check();
  expect(ended).toEqual(['moved', 'moved']);
});

test('check() refuses whose key was revoked', async () => {
  await watch.check();
  await now.batch([{ sql: `UPDATE keys SET state = 'revoked'` }]);
  clock.advance(3_000);
  await watch.check();
  expect(new Set(ended)).toEqual(new Set(['unauthorized']));
});
