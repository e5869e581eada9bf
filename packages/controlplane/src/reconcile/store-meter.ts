import { Counter, type Registry } from '@orama/core/metrics';
import type { Database } from '@orama/store';

/** Counts for `/metrics` what a store is asked: gives the same database, counted. */
export function storeMeter(metrics: Registry): (db: Database) => Database {
  const registers = [metrics];
  const statements = new Counter({
    name: 'orama_store_statements_total',
    help: 'Statements sent to the store',
    labelNames: ['kind'],
    registers,
  });
  const rows = new Counter({
    name: 'orama_store_rows_read_total',
    help: 'Rows that the store answered with',
    registers,
  });
  return (db) => ({
    query: async <Row>(...query: Parameters<Database['query']>) => {
      statements.inc({ kind: 'read' });
      const found = await db.query<Row>(...query);
      rows.inc(found.length);
      return found;
    },
    batch: (batch) => {
      statements.inc({ kind: 'write' }, batch.length);
      return db.batch(batch);
    },
    endWithin: (timeoutMs) => db.endWithin(timeoutMs),
    close: () => db.close(),
  });
}
