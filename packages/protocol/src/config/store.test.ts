import { expect, test } from 'vitest';
import { storeConfigSchema } from './store.ts';

const issues = (config: object) =>
  storeConfigSchema.safeParse({ driver: 'rqlite', addresses: ['http://10.0.0.1:4001'], ...config }).error?.issues ?? [];

test.each([
  ['http://10.0.0.1', 'is not scheme, host and port alone'],
  ['http://orama:secret@10.0.0.1:4001', 'credentials go into credentialsFile'],
  ['http://10.0.0.1:4001/db', 'is not scheme, host and port alone'],
  ['10.0.0.1:4001', 'is not scheme, host and port alone'],
])('store.addresses refuses %s', (address, message) => {
  const [issue] = issues({ addresses: ['http://10.0.0.2:4001', address] });
  expect(issue?.path).toEqual(['addresses', 1]);
  expect(issue?.message).toContain(message);
});

test('store.addresses takes names and IPv6, each once, and one scheme', () => {
  expect(issues({ addresses: ['https://store-1.example.org:4001', 'https://[fd00::1]:4001'] })).toEqual([]);
  expect(issues({ addresses: ['http://a:1', 'http://a:1'] })).toMatchObject([{ message: 'names an address twice' }]);
  expect(issues({ addresses: ['http://a:1', 'https://b:1'] })).toMatchObject([{ message: 'mixes http and https' }]);
  expect(issues({ addresses: [] })[0]?.path[0]).toBe('addresses');
});
