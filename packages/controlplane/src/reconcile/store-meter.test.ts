import { Registry } from '@orama/core/metrics';
import { openStore } from '@orama/store';
import { expect, test } from 'vitest';
import { storeMeter } from './store-meter.ts';

test('storeMeter() counts the statements that a store is sent and the rows it answers with, over connections', async () => {
  const metrics = new Registry();
  const count = storeMeter(metrics);
  for (let connection = 0; connection < 2; connection += 1) {
    const db = count(await openStore({ driver: 'sqlite', file: ':memory:' }));
    const add = (name: string) => ({
      sql: 'INSERT INTO leases (name, holder, generation) VALUES (?, ?, 1)',
      params: [name, 'x'],
    });
    await db.batch([add('one'), add('two')]);
    expect(await db.query('SELECT name FROM leases')).toHaveLength(2);
    await db.close();
  }
  const text = await metrics.metrics();
  expect(text).toMatch(/^orama_store_statements_total\{kind="read"\} 2$/m);
  expect(text).toMatch(/^orama_store_statements_total\{kind="write"\} 4$/m);
  expect(text).toMatch(/^orama_store_rows_read_total 4$/m);
});
