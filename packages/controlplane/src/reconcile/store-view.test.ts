import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { enableWebrtcSchema } from '@orama/protocol';
import {
  createStore,
  type Database,
  raiseChangeCounter,
  type ServiceReportRow,
  type Statement,
  type Store,
  StoreUnavailableError,
} from '@orama/store';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestOperations } from '../../testing/node-context.ts';
import type { OperationContext } from '../operations/context.ts';
import { disableWebrtc } from '../operations/disable-webrtc.ts';
import { enableWebrtc } from '../operations/enable-webrtc.ts';
import { createNamespace } from '../operations/namespaces.ts';
import { OperationsTask } from '../tasks/operations.ts';
import { StoreView } from './store-view.ts';

const DEFAULTS = enableWebrtcSchema.parse({ sfuNodeCount: 1, turnNodeCount: 1 });
/** Tables that a view holds. */
const HELD = /^\s*(INSERT INTO|UPDATE|DELETE FROM)\s+(namespace_webrtc_config|webrtc_port_allocations|dns_records)/;

let operations: TestOperations;
let context: OperationContext;
let clock: VirtualClock;
let down: boolean;
let queries: string[];
let batches: Statement[][];

beforeEach(async () => {
  operations = new TestOperations();
  const connected = await operations.connect();
  await operations.addNodes(connected, 3);
  down = false;
  queries = [];
  batches = [];
  clock = new VirtualClock();
  context = { ...connected, store: watched(connected.store.db) };
  await createNamespace(context, { name: 'demo', owner: 'operator' });
  await enableWebrtc(context, 'demo', DEFAULTS);
});
afterEach(() => operations.close());

/** The store, with what it is asked written down. */
function watched(db: Database): Store {
  return createStore({
    query: <Row>(...query: Parameters<Database['query']>) => {
      queries.push(query[0]);
      return down ? Promise.reject(new StoreUnavailableError('no store')) : db.query<Row>(...query);
    },
    batch: (statements) => {
      batches.push(statements);
      return db.batch(statements);
    },
    endWithin: () => {},
    close: () => db.close(),
  });
}

const viewOf = (nodeId: string) => new StoreView(context.store, nodeId, clock);
const report = (service: string, nodeId: string, absent = false): Omit<ServiceReportRow, 'sinceMs'> => ({
  nodeId,
  namespace: 'demo',
  service,
  desired: absent ? 'absent' : 'running',
  observed: absent ? 'absent' : 'running',
  healthy: !absent,
  generation: 1,
  reason: null,
  details: {},
  reportedAtMs: 0,
});

test('read() asks for the counter alone while nothing has changed, and for everything once after a change', async () => {
  const view = viewOf('node-1');
  const first = await view.read();
  await Promise.all([first.reportsHere(), first.turnReports(), first.records()]);
  queries = [];
  const again = await view.read();
  expect(again).toBe(first);
  await Promise.all([again.reportsHere(), again.turnReports(), again.records()]);
  expect(queries).toEqual(['SELECT value FROM change_counter WHERE id = 1']);

  await context.store.db.batch([context.store.reports.upsert(report('turn', 'node-2')), raiseChangeCounter]);
  queries = [];
  const [changed, same] = await Promise.all([view.read(), view.read()]);
  expect(changed).not.toBe(first);
  expect(same).toBe(changed);
  expect((await changed.turnReports()).map(({ nodeId }) => nodeId)).toEqual(['node-2']);
  expect(queries.filter((sql) => sql.includes('namespace_webrtc_config'))).toHaveLength(1);
});

test('read() asks anew after a minute, whatever the counter says', async () => {
  const view = viewOf('node-1');
  const first = await view.read();
  clock.advance(59_999);
  expect(await view.read()).toBe(first);
  clock.advance(1);
  expect(await view.read()).not.toBe(first);
});

test('a view holds the namespaces that a node has a block of, also while it is left, and what all say of them', async () => {
  const { store } = context;
  const [sfu] = (await store.ports.listOf('demo')).filter(({ service }) => service === 'sfu');
  if (!sfu) throw new Error('no SFU');
  await store.db.batch([store.ports.leave(sfu, 0), store.reports.upsert(report('turn', 'node-3')), raiseChangeCounter]);
  const view = await viewOf(sfu.nodeId).read();
  expect(view.here.get('demo')).toMatchObject({ sfu: [], leaving: [{ nodeId: sfu.nodeId }] });
  expect([...(await view.reportsHere()).keys()]).toEqual(['demo']);
  const elsewhere = await viewOf('node-3').read();
  expect([...elsewhere.here.keys(), ...(await elsewhere.reportsHere()).keys()]).toEqual([]);
  expect([...elsewhere.desired.keys()]).toEqual(['demo']);
});

test('what cannot be read is asked for again', async () => {
  const view = viewOf('node-1');
  const first = await view.read();
  down = true;
  await expect(first.records()).rejects.toBeInstanceOf(StoreUnavailableError);
  await context.store.db.batch([raiseChangeCounter]);
  await expect(view.read()).rejects.toBeInstanceOf(StoreUnavailableError);
  down = false;
  expect(await first.records()).toEqual([]);
  expect((await view.read()).desired.has('demo')).toBe(true);
});

test('an enable and a disable raise the counter with everything that a view holds', async () => {
  const { store } = context;
  const task = new OperationsTask({ ...context, logger: silentLogger });
  const finish = async (absent: boolean) => {
    const [operation] = await store.operations.listRunning();
    for (const { name } of operation?.steps ?? []) {
      const [service = '', nodeId = 'cluster'] = name.split(':');
      await store.db.batch([store.reports.upsert(report(service, nodeId, absent))]);
    }
    await task.report();
  };
  await finish(false);
  expect(await store.webrtc.get('demo')).toMatchObject({ state: 'enabled' });
  await disableWebrtc(context, 'demo');
  await finish(true);
  expect(await store.webrtc.get('demo')).toBeNull();
  const changing = batches.filter((batch) => batch.some(({ sql }) => HELD.test(sql)));
  expect(changing).toHaveLength(4);
  for (const batch of changing) expect(batch).toContain(raiseChangeCounter);
});
