import { VirtualClock } from '@orama/core';
import { silentLogger } from '@orama/core/logger';
import { createMetrics } from '@orama/core/metrics';
import { enableWebrtcSchema } from '@orama/protocol';
import { createStore, type Database, type DnsRecordRow, raiseChangeCounter, StoreUnavailableError } from '@orama/store';
import { decode, encode, type RecordType } from 'dns-packet';
import { expect, onTestFinished, test } from 'vitest';
import { TestOperations, testConfig } from '../../../testing/node-context.ts';
import { enableWebrtc } from '../../operations/enable-webrtc.ts';
import { createNamespace } from '../../operations/namespaces.ts';
import { StoreView } from '../../reconcile/store-view.ts';
import { answer } from './answer.ts';
import { DnsServer } from './dns-server.ts';
import { EmbeddedDns } from './embedded-dns.ts';

const GATEWAY = [{ service: 'gateway', healthy: true }];
const record = (type: 'A' | 'TXT', value: string): DnsRecordRow => ({
  fqdn: type === 'A' ? 'turn.ns-demo.orama.localhost' : '_acme-challenge.turn.ns-demo.orama.localhost',
  type,
  value,
  ttlSec: 60,
  namespace: 'demo',
  nodeId: 'node-1',
  createdBy: 'test',
  createdAtMs: 0,
});

/** The DNS of a node, on a store that can be away, with a namespace that is enabled. */
async function open() {
  const operations = new TestOperations();
  onTestFinished(() => operations.close());
  const context = await operations.connect();
  await operations.addNodes(context, 2, [{ service: 'turn', healthy: true }, ...GATEWAY]);
  await createNamespace(context, { name: 'demo', owner: 'operator' });
  await enableWebrtc(context, 'demo', enableWebrtcSchema.parse({ sfuNodeCount: 1, turnNodeCount: 1 }));
  const { db } = context.store;
  const state = { down: false };
  const reads: Database['query'] = (...query) =>
    state.down ? Promise.reject(new StoreUnavailableError('no store')) : db.query(...query);
  const store = createStore({
    query: reads,
    batch: (statements) => db.batch(statements),
    endWithin: () => {},
    close: () => db.close(),
  });
  const clock = new VirtualClock();
  const server = new DnsServer({ listen: [], clock, logger: silentLogger, metrics: createMetrics('test') });
  const dns = new EmbeddedDns(server, {
    config: testConfig(operations.dir, { dns: { writer: 'embedded' } }),
    view: new StoreView(store, 'node-1', clock),
  });
  const ask = (name: string, type: RecordType) => {
    const message = encode({ type: 'query', questions: [{ name, type }] });
    const got = decode(answer(message, server.zone, 'tcp')?.bytes ?? Buffer.alloc(0));
    return got.answers?.map((one) => ('data' in one ? String(one.data) : '')).sort();
  };
  const write = (...records: DnsRecordRow[]) =>
    db.batch([...context.store.dns.replaceOf('demo', records), raiseChangeCounter]);
  return { context, state, server, dns, ask, write };
}

test('EmbeddedDns follows the store, and goes on with what it knew while the store is away', async () => {
  const { state, server, dns, ask, write } = await open();
  await write(record('A', '203.0.113.1'), record('TXT', 'a proof'));
  expect(server.zone).toBe(null);
  await dns.refresh();
  expect(ask('turn.ns-demo.orama.localhost', 'A')).toEqual(['203.0.113.1']);
  expect(ask('_acme-challenge.turn.ns-demo.orama.localhost', 'TXT')).toEqual(['a proof']);
  const serial = server.zone?.serial ?? 0;
  await write(record('A', '203.0.113.2'));
  state.down = true;
  await expect(dns.refresh()).rejects.toThrow(StoreUnavailableError);
  expect(ask('turn.ns-demo.orama.localhost', 'A')).toEqual(['203.0.113.1']);
  state.down = false;
  await dns.refresh();
  expect(ask('turn.ns-demo.orama.localhost', 'A')).toEqual(['203.0.113.2']);
  expect(server.zone?.serial).toBeGreaterThan(serial);
});

test('EmbeddedDns never lets the serial go back, also when the store was put back', async () => {
  const { context, server, dns, write } = await open();
  await write(record('A', '203.0.113.1'));
  await dns.refresh();
  const serial = server.zone?.serial ?? 0;
  await context.store.db.batch([{ sql: 'UPDATE change_counter SET value = 1' }]);
  await dns.refresh();
  expect(server.zone?.serial).toBe(serial);
});

test('EmbeddedDns names every node as a server of the zone, and the nodes with a gateway as the host of a namespace', async () => {
  const { context, dns, ask } = await open();
  await dns.refresh();
  expect(ask('orama.localhost', 'NS')).toEqual(['node-1.dns.orama.localhost', 'node-2.dns.orama.localhost']);
  expect(ask('node-2.dns.orama.localhost', 'A')).toEqual(['127.83.1.2']);
  expect(ask('ns-demo.orama.localhost', 'A')).toEqual(['127.83.1.1', '127.83.1.2']);
  const { nodes, db } = context.store;
  await db.batch([nodes.heartbeat('node-2', [{ service: 'gateway', healthy: false }], 0), raiseChangeCounter]);
  await dns.refresh();
  expect(ask('ns-demo.orama.localhost', 'A')).toEqual(['127.83.1.1']);
  await db.batch([nodes.heartbeat('node-1', [], 0), raiseChangeCounter]);
  await dns.refresh();
  expect(ask('ns-demo.orama.localhost', 'A')).toEqual(['127.83.1.1', '127.83.1.2']);
});
