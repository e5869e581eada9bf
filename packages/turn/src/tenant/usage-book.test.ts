import type { TurnTenantUsage } from '@orama/protocol';
import { expect, test } from 'vitest';
import { UsageBook } from './usage-book.ts';

function usage(namespace: string, bytes: number): TurnTenantUsage {
  return { namespace, toPeerPackets: 1, toPeerBytes: bytes, toClientPackets: 2, toClientBytes: 0, allocations: 1 };
}

const bytesOf = (book: UsageBook) => book.list().map(({ namespace, toPeerBytes }) => [namespace, toPeerBytes]);

test('UsageBook sums workers, keeps what a detached tenant has done, and goes on after it comes back', () => {
  const book = new UsageBook();
  book.open('demo');
  book.told(0, usage('demo', 10));
  book.told(1, usage('demo', 5));
  book.told(0, usage('demo', 30));
  expect(bytesOf(book)).toEqual([['demo', 35]]);
  book.ended(0, usage('demo', 40));
  expect(bytesOf(book)).toEqual([['demo', 45]]);
  book.ended(1, usage('demo', 5));
  book.close('demo');
  expect(book.list()).toEqual([
    { namespace: 'demo', toPeerPackets: 2, toPeerBytes: 45, toClientPackets: 4, toClientBytes: 0, allocations: 2 },
  ]);
  book.open('demo');
  book.told(0, usage('demo', 1));
  expect(bytesOf(book)).toEqual([['demo', 46]]);
});

test('UsageBook counts nothing twice when a worker’s word comes after its last one', () => {
  const book = new UsageBook();
  book.open('demo');
  book.ended(0, usage('demo', 40));
  book.told(0, usage('demo', 30));
  expect(bytesOf(book)).toEqual([['demo', 40]]);
});

test('UsageBook forgets the namespace that has been away longest, and none that is attached', () => {
  const book = new UsageBook(2);
  for (const name of ['stays', 'a', 'b', 'c']) book.open(name);
  for (const name of ['a', 'b', 'c']) book.close(name);
  expect(bytesOf(book).map(([name]) => name)).toEqual(['stays', 'b', 'c']);
});
